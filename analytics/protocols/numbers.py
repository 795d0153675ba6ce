"""Numbers: every digit, in one canonical form, however they were written.

30.0, 30.00 and 3e1 are 30, and minus zero is 0. Nothing goes through a double, which would lose
digits of long ones.
"""

import re
from collections.abc import Container, Mapping
from decimal import Context, Decimal
from math import isinf
from typing import Any, TypeGuard

import msgspec

MAX_DIGITS = 400
"""The most characters of a number, and the largest exponent, positive or negative.

Beyond every double, and far within PostgreSQL's numeric.
"""

MAX_ADDED_DIGITS = 20
"""A whole number that would become longer by more than these keeps its exponent.

So no body becomes many times as large as it was sent.
"""

_GRAMMAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_EXACT = Context(prec=2 * MAX_DIGITS)


BAD_NUMBER = "bad_number"
"""The note about a number that cannot be stored, and became text."""


class Unfit(msgspec.Struct, frozen=True):
    """Takes the place of a value that cannot be stored."""

    code: str
    problem: str
    text: str = ""
    """Of a number, how it was written."""


def whole(text: str) -> int | Decimal | Unfit:
    """A JSON number without point and exponent."""
    return int(text) if len(text) < 300 else number(text)


def number(text: str) -> int | Decimal | Unfit:
    """A JSON number with a point or an exponent, or one that is very long.

    An int if it is whole, else a Decimal without trailing zeros.
    """
    if text[-1] != "0" and len(text) < 100 and "e" not in text and "E" not in text:
        return Decimal(text)  # the usual case, first because it is fast
    if len(text) > MAX_DIGITS:
        problem = f"has a number of more than {MAX_DIGITS} characters"
        return Unfit("too_long", problem, text)
    if isinf(float(text)) or abs(int(text.lower().partition("e")[2] or 0)) > MAX_DIGITS:
        return Unfit("wrong_type", "has a number beyond the range of double precision", text)
    value = Decimal(text)
    if value == (integer := int(value)) and value.adjusted() < len(text) + MAX_ADDED_DIGITS:
        return integer
    return _EXACT.normalize(value)


def constant(text: str) -> Unfit:
    """NaN or an infinity, which some libraries write."""
    return Unfit("wrong_type", f"is {text}, which is no JSON", text)


def of(value: Any) -> Any:
    """A value that its protocol calls a number: text becomes one if JSON would write it so.

    Other text stays as it is, and so does that of a number that cannot be stored (1e999).
    """
    if isinstance(value, str) and len(value) <= MAX_DIGITS and _GRAMMAR.fullmatch(value):
        read = whole(value) if value.lstrip("-").isdigit() else number(value)
        return value if isinstance(read, Unfit) else read
    return value


def written(value: int | Decimal) -> str:
    """A number as text, without exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def is_number(value: Any) -> TypeGuard[int | Decimal]:
    """Whether a value is a number: true and false are none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def within(source: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    """A copy whose fields in `names` are numbers, as far as they can be."""
    return {name: of(value) if name in names else value for name, value in source.items()}
