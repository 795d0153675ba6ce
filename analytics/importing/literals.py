"""Text of a file or of an option → the value of a field.

A value of the metadata is a number, a list or an object as JSON writes it, true, false or null in
any case, and else text.
"""

import re

import msgspec

from analytics.protocols import numbers

PREFIX = "metadata."
"""A field that begins so is one value of the metadata."""

_WORDS = {"true": b"true", "false": b"false", "null": b"null"}
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_raw = msgspec.json.Decoder(msgspec.Raw).decode


def field_value(field: str, text: str) -> object:
    """The value of any field; null for metadata is none at all. `text` is not empty."""
    if field.startswith(PREFIX):
        return literal(text)
    if field == "metadata":
        return None if text.strip().lower() == "null" else _parsed(text)
    return int(text) if field == "timestamp" and _WHOLE.fullmatch(text) else text


def literal(text: str) -> object:
    """A value of the metadata. `text` is not empty."""
    if word := _WORDS.get(text.lower()):
        return msgspec.Raw(word)
    return _parsed(text) if text[0] in "[{" else numbers.of(text)


def _parsed(text: str) -> object:
    """The JSON in a text, or the text if it is none; as `metadata` that is rejected.

    What is too deep to be read here stays as it is, and is rejected later.
    """
    try:
        return _raw(text)
    except msgspec.DecodeError:
        return text
    except RecursionError:
        return msgspec.Raw(text.encode())
