"""What client libraries wrap around their JSON: forms, base64, query strings, lines.

Told apart by their first bytes, because the libraries' headers do not say.
"""

import binascii
from typing import Any
from urllib.parse import parse_qsl

from analytics.errors import TooLarge
from analytics.protocols import metadata
from analytics.protocols.protocol import (
    Incoming,
    bound_count,
    bound_values,
    empty_batch,
)

MAX_FIELDS = 10_000
"""Fields of a form or a query string."""

_BASE64 = bytes.maketrans(b"-_ ", b"+/+")


def json(text: bytes) -> Any:
    """A JSON text, decoded by `metadata.read`. A NUL may stand in it as it is.

    Raises BadRequest, TooLarge.
    """
    return metadata.read(text.replace(b"\0", b"\\u0000"))


def sniffed(text: bytes) -> Any:
    """JSON, or base64 of it: either alphabet, with or without padding.

    Raises BadRequest, TooLarge.
    """
    text = text.strip()
    return json(text if text[:1] in (b"{", b"[", b'"', b"") else unbase64(text) or text)


def parsed(text: str) -> Any:
    """The JSON in a string of a body. A NUL may stand in it as it is. Raises ValueError."""
    return metadata.parse(text.replace("\0", "\\u0000"))


def embedded(text: str) -> Any:
    """The JSON in a string of a body, or in base64 of it. Raises ValueError, BadRequest, TooLarge.

    What the string has of characters that cannot be stored stays in it.
    """
    if text.lstrip()[:1] in ("{", "["):
        return parsed(text)
    return sniffed(text.encode(errors="surrogatepass"))


def unbase64(text: bytes) -> bytes | None:
    """Base64, decoded; None when the text is not base64."""
    digits = text.rstrip(b"=").translate(_BASE64)
    try:
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4), strict_mode=True)
    except binascii.Error:
        return None


def lines(text: bytes) -> Any:
    """JSON, or a list of the JSON values that stand one on a line. Raises BadRequest, TooLarge."""
    if text.lstrip()[:1] == b"[":
        return json(text)
    bound_values(text.count(b"\n") + text.count(b"\r"))
    values = [line for line in text.splitlines() if line.strip()]
    return json(b"[" + b",".join(values) + b"]") if len(values) > 1 else json(text)


def fields(text: bytes) -> dict[str, str]:
    """A form or a query string. Bytes that are not UTF-8 become lone surrogates.

    Raises TooLarge beyond MAX_FIELDS.
    """
    return embedded_fields(text.decode(errors="surrogateescape"))


def embedded_fields(text: str) -> dict[str, str]:
    """A query string that stood in a body's JSON. Raises TooLarge beyond MAX_FIELDS."""
    if text.count("&") >= MAX_FIELDS:
        raise TooLarge(f"a form may have {MAX_FIELDS} fields")
    return dict(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))


def queries(texts: list[Any]) -> list[Any]:
    """The fields of each query string in a list; what is not a string comes back as it is.

    Raises TooLarge for too many fields, in one of them or in all.
    """
    strings = [text for text in texts if isinstance(text, str)]
    bound_values(2 * sum(text.count("&") + 1 for text in strings))
    return [embedded_fields(text.lstrip("?")) if isinstance(text, str) else text for text in texts]


def is_form(text: bytes) -> bool:
    """Whether a body is a form: a word, `=`, and more. JSON and base64 never look so."""
    name, _, more = text.lstrip()[:64].partition(b"=")
    return bool(more.strip(b"=")) and name.replace(b"_", b"").isalnum()


def data(incoming: Incoming) -> Any:
    """The JSON of a request: `data` of a form, else the body, else `data` of the query string.

    Raises BadRequest, TooLarge.
    """
    form = fields(incoming.body) if is_form(incoming.body) else {}
    if "data" in form:
        return sniffed(form["data"].encode(errors="surrogateescape"))
    if incoming.body.strip():
        return sniffed(incoming.body)
    return sniffed(fields(incoming.query).get("data", "").encode(errors="surrogateescape"))


def batch(items: Any) -> list[Any]:
    """A list of events; a single event becomes a list of one.

    Raises BadRequest for an empty list, TooLarge for a long one.
    """
    listed: list[Any] = items if isinstance(items, list) else [items]
    if not listed:
        raise empty_batch()
    bound_count(len(listed))
    return listed


def word(value: Any, *names: str) -> str | None:
    """The first of an object's fields that is a text, and not empty; None where none is."""
    if isinstance(value, dict):
        for name in names:
            text = value.get(name)
            if isinstance(text, str) and text:
                return text
    return None


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}
