"""Whether metadata can be stored.

It must be an object, at most 32 levels deep. Text has no NUL and no lone surrogate. Numbers are in
the range of a double.
"""

import json
import re
from decimal import Decimal
from math import isinf
from typing import Any

import msgspec

from analytics.protocols.protocol import EventError

MAX_DEPTH = 32
"""Levels of objects and lists; metadata itself is the first."""

MAX_DIGITS = 400
"""The most characters of a number, and the largest exponent, positive or negative.

Beyond every double, and far within PostgreSQL's numeric.
"""

_PRUNE_DEPTH = 64
_SHOWN_KEY = 100
"""Characters of a key that an error names."""

_DIGITS = bytes.maketrans(b"123456789.E", b"0000000000e")
_MANY_DIGITS = b"0" * 100
_EXPONENT_BACKWARDS = re.compile(rb"000e0+[:,\[\s]")

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_LEVELS = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS = bytes(range(256)).translate(None, b"[]{}")

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{}]', re.DOTALL)
_UNFIT = re.compile("[\x00\ud800-\udfff]")

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Metadata as `parse` read it → JSON with every digit kept."""


class Unfit(msgspec.Struct, frozen=True):
    """In what `parse` returns, takes the place of a number that cannot be stored."""

    code: str
    problem: str


def suspicious(body: bytes) -> bool:
    """Whether JSON may contain a NUL or a number out of range. msgspec does not look into Raw.

    Rarely true for harmless text, never false for harmful text. A number below 100 characters
    whose exponent has two digits is finite. A regular expression on the text itself would take
    longer than decoding it. So digits and points are first made one character, and signs removed.
    """
    if b"\\" in body and b"\\u0000" in body:
        return True
    plain = body.translate(_DIGITS, b"+-")
    return _MANY_DIGITS in plain or (
        b"0e000" in plain and _EXPONENT_BACKWARDS.search(plain[::-1]) is not None
    )


def too_deep(text: bytes) -> bool:
    """Whether valid JSON nests deeper than MAX_DEPTH."""
    brackets = _STRING.sub(b"", text).translate(_LEVELS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):  # each round removes the innermost level
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)


def parse(text: str) -> Any:
    """JSON → Python, more tolerant than msgspec: one bad value costs one event, not the request.

    Lone surrogates stay in their strings. NaN and numbers that cannot be stored become Unfit. What
    nests far too deep is left out. Raises ValueError for what is not JSON.
    """
    try:
        return _loads(text)
    except RecursionError:
        return _loads(_prune(text))


def check(metadata: Any) -> None:
    """Raises Fault, for `metadata` or `metadata.KEY`, if what `parse` read cannot be stored."""
    if not isinstance(metadata, dict):
        raise EventError("wrong_type", "metadata", "metadata must be an object")
    for key, value in metadata.items():
        if _UNFIT.search(key):
            message = "a key of metadata has a NUL or a lone surrogate"
            raise EventError("bad_character", "metadata", message)
        if problem := _problem(value, 2):
            field = f"metadata.{key[:_SHOWN_KEY]}"
            raise EventError(problem.code, field, f"this value {problem.problem}")


def unfit(text: str) -> bool:
    """Whether text has a character that PostgreSQL cannot store."""
    return _UNFIT.search(text) is not None


def _problem(value: Any, depth: int) -> Unfit | None:
    if isinstance(value, str):
        return Unfit("bad_character", "has a NUL or a lone surrogate") if unfit(value) else None
    if isinstance(value, Unfit):
        return value
    if not isinstance(value, dict | list):
        return None
    if depth > MAX_DEPTH:
        return Unfit("too_deep", f"nests deeper than {MAX_DEPTH} levels, metadata being the first")
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return next((problem for part in inner if (problem := _problem(part, depth + 1))), None)


def _prune(text: str) -> str:
    """JSON without what its deepest brackets hold."""
    parts, start, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _PRUNE_DEPTH:
                parts.append(text[start : token.end()])
        elif token[0] in "]}":
            if depth == _PRUNE_DEPTH:
                start = token.start()
            depth -= 1
    return "".join(parts) + (text[start:] if depth < _PRUNE_DEPTH else "")


def _integer(text: str) -> int | Unfit:
    return int(text) if len(text) < 300 else _number(text)


def _number(text: str) -> Any:
    if len(text) > MAX_DIGITS:
        return Unfit("too_long", f"has a number of more than {MAX_DIGITS} characters")
    if isinf(float(text)) or abs(int(text.lower().partition("e")[2] or 0)) > MAX_DIGITS:
        return Unfit("wrong_type", "has a number beyond the range of double precision")
    return Decimal(text)


def _constant(text: str) -> Unfit:
    return Unfit("wrong_type", f"is {text}, which is no JSON")


# of the decoders, json's alone lets us read numbers ourselves: others lose digits of long ones
_loads = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_constant).decode
