"""Whether metadata can be stored: an object, at most 32 deep, of text without NUL and numbers that
a double can hold.
"""

import json
import re
from decimal import Decimal
from math import isinf
from typing import Any

import msgspec

from analytics.protocols.protocol import Fault

MAX_DEPTH = 32
"""Levels of objects and arrays; metadata itself is the first."""

MAX_DIGITS = 400
"""Characters of a number, and its decimal exponent either way: beyond every double, far within
PostgreSQL's numeric.
"""

_PRUNE_DEPTH = 64
_KEY_SHOWN = 100

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
    """Stands, in what `parse` returns, for a number that cannot be kept."""

    code: str
    problem: str


def suspicious(body: bytes) -> bool:
    """Whether JSON that msgspec has passed over undecoded may hide what cannot be stored: NUL, or a
    number out of range.

    Seldom true for harmless text, never false for harmful. A number below 100 characters whose
    exponent has two digits is finite. Searching by regular expression would take longer than
    decoding, so digits and points are first made one character, and signs left out.
    """
    if b"\\" in body and b"\\u0000" in body:
        return True
    plain = body.translate(_DIGITS, b"+-")
    return _MANY_DIGITS in plain or (
        b"0e000" in plain and _EXPONENT_BACKWARDS.search(plain[::-1]) is not None
    )


def too_deep(text: bytes) -> bool:
    """Whether valid JSON is nested deeper than MAX_DEPTH: each round takes the innermost brackets
    away.
    """
    brackets = _STRING.sub(b"", text).translate(_LEVELS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)


def parse(text: str) -> Any:
    """JSON → Python, more patient than msgspec, so that one bad value costs one event and not its
    batch.

    Lone surrogates stay in their strings, numbers that cannot be kept and NaN become Unfit, and
    what lies deeper than any limit is left out. Raises ValueError for what is no JSON.
    """
    try:
        return _loads(text)
    except RecursionError:
        return _loads(_prune(text))


def check(metadata: Any) -> None:
    """Raise Fault, naming `metadata` or `metadata.KEY`, unless this, as `parse` read it, can be
    stored.
    """
    if not isinstance(metadata, dict):
        raise Fault("wrong_type", "metadata", "metadata must be an object")
    for key, value in metadata.items():
        if _UNFIT.search(key):
            raise Fault(
                "bad_character", "metadata", "a key of metadata has a NUL or a lone surrogate"
            )
        if problem := _problem(value, 2):
            raise Fault(
                problem.code, f"metadata.{key[:_KEY_SHOWN]}", f"this value {problem.problem}"
            )


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
    kept, start, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _PRUNE_DEPTH:
                kept.append(text[start : token.end()])
        elif token[0] in "]}":
            if depth == _PRUNE_DEPTH:
                start = token.start()
            depth -= 1
    return "".join(kept) + (text[start:] if depth < _PRUNE_DEPTH else "")


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


_loads = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_constant).decode
