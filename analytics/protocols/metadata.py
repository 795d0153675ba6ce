"""Whether metadata can be stored.

It must be an object, at most 32 levels deep. Text has no NUL and no lone surrogate. Numbers are in
the range of a double, and stored in canonical form.
"""

import json
import re
from typing import Any, NamedTuple

import msgspec

from analytics.errors import BadRequest
from analytics.protocols import numbers
from analytics.protocols.characters import BAD, described, unfit
from analytics.protocols.numbers import Unfit
from analytics.protocols.protocol import MAX_VALUES, EventError, bound_values

MAX_DEPTH = 32
"""Levels of objects and lists; metadata itself is the first."""

_PRUNE_DEPTH = 64
_SHOWN_KEY = 100
"""Characters of a key that an error names."""

_DIGITS = bytes.maketrans(b"123456789.E", b"0000000000e")
_MANY_DIGITS = b"0" * 100
_EXPONENT = re.compile(rb"0e0+[,}\]\s]")
_TRAILING_ZERO = re.compile(rb"\.[0-9]*0[,}\]\s]")

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_LEVELS = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS = bytes(range(256)).translate(None, b"[]{}")

_MARKS = "{[,:"
"""Before each value, name, object and list stands one of these, but before the first."""

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{}]', re.DOTALL)
"""A bracket, or a string. One without an end goes as far as the text: nothing is read twice."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Metadata as `parse` read it → JSON with every digit kept."""


class Glance(NamedTuple):
    """What JSON may hold, as its bytes show without decoding it.

    Each is rarely true for text without it, and never false for text that has it.
    """

    unfit: bool
    """A NUL, or a number of very many digits. msgspec does not look into Raw."""
    uncanonical: bool
    """A number that `canonical` would write otherwise. (Not -0, which is 0 to every reader.)"""


def glance(body: bytes) -> Glance:
    """Look at a body of JSON.

    Regular expressions on the text itself would take longer than decoding it, unless they begin
    with a rare character. So digits and points are first made one character, and signs removed.
    """
    if b"\\" in body and b"\\u0000" in body:
        return Glance(unfit=True, uncanonical=True)
    plain = body.translate(_DIGITS, b"+-")
    rewritten = _TRAILING_ZERO.search(body) or _EXPONENT.search(plain)
    return Glance(_MANY_DIGITS in plain, rewritten is not None)


def canonical(text: bytes) -> bytes:
    """Metadata with each number in its canonical form. `text` has no number of very many digits.

    Raises EventError for a number that cannot be stored, msgspec.DecodeError for what is not JSON.
    """
    return encode(_decode(text))


def too_deep(text: bytes) -> bool:
    """Whether valid JSON nests deeper than MAX_DEPTH."""
    brackets = _STRING.sub(b"", text).translate(_LEVELS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):  # each round removes the innermost level
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)


def parse(text: str) -> Any:
    """JSON → Python, more tolerant than msgspec: one bad value costs one event, not the request.

    Numbers are in canonical form; NaN and those that cannot be stored become Unfit. Lone surrogates
    stay in their strings. What nests far too deep is left out. Raises ValueError for what is not
    JSON, TooLarge for too many values.
    """
    if len(text) > MAX_VALUES:  # a shorter text has fewer
        bound_values(sum(map(text.count, _MARKS)))
    try:
        return _loads(text)
    except RecursionError:
        return _loads(_prune(text))


def read(body: bytes, name: str = "body") -> Any:
    """A body's JSON, decoded by `parse`; an error calls it by its name.

    Bytes that are not UTF-8 become lone surrogates in their strings. Raises BadRequest, TooLarge.
    """
    try:
        return parse(body.decode(errors="surrogateescape").removeprefix("\ufeff"))
    except ValueError as error:
        raise BadRequest(f"the {name} is {_not_json(body, error)}", code="not_json") from error


def size_of(value: Any) -> int:
    """About how many bytes of JSON a value takes that `parse` read, valid or not."""
    size, rest = 0, [value]
    while rest:
        part = rest.pop()
        size += 2
        if isinstance(part, dict):
            rest += (*part, *part.values())
        elif isinstance(part, list):
            rest += part
        else:
            size += len(str(part).encode(errors="surrogatepass"))
    return size


def _not_json(body: bytes, error: ValueError) -> str:
    """Why a body cannot be read: bytes that are not UTF-8 explain more than what follows."""
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 (byte {wrong.start})"
    return f"not JSON: {error}"


def check(metadata: Any) -> None:
    """Raises EventError, for `metadata` or `metadata.KEY`, if parsed JSON cannot be stored."""
    if not isinstance(metadata, dict):
        raise EventError("wrong_type", "metadata", "metadata must be an object")
    for key, value in metadata.items():
        if unfit(key):
            raise EventError(BAD, "metadata", f"a key of metadata has {described(key)}")
        if problem := _problem(value, 2):
            field = f"metadata.{key[:_SHOWN_KEY]}"
            raise EventError(problem.code, field, f"this value {problem.problem}")


def _problem(value: Any, depth: int) -> Unfit | None:
    if isinstance(value, str):
        return Unfit(BAD, f"has {described(value)}") if unfit(value) else None
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


def _checked(text: str) -> Any:
    value = numbers.number(text)
    if isinstance(value, Unfit):
        raise EventError(value.code, "metadata", f"metadata {value.problem}")
    return value


_decode = msgspec.json.Decoder(float_hook=_checked).decode

# NaN, and whole numbers of very many digits, are read here too, which msgspec cannot
_loads = json.JSONDecoder(
    parse_int=numbers.whole, parse_float=numbers.number, parse_constant=numbers.constant
).decode
