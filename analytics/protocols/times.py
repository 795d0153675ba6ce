"""Times as other products write them, on the way to ours."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from analytics.protocols import numbers
from analytics.protocols.clock import EPOCH

MAX_TIME_DIGITS = 30
"""A text of more digits is not a time."""


def moment(value: Any) -> Any:
    """A sender's time as our protocol has it; what is not a time comes back as it is.

    A time without an offset is in UTC, because several libraries omit it. A fraction of a
    millisecond is cut off.
    """
    if isinstance(value, Decimal):
        return int(value)
    if not isinstance(value, str):
        return value
    value = value.strip()
    if value[4:5] != "-" and len(value) < MAX_TIME_DIGITS:  # a date has its hyphen there
        number = numbers.of(value)
        if isinstance(number, int | Decimal):
            return int(number)
    if len(value) < 19 or value[-1:] in "zZ" or "+" in value[10:] or "-" in value[10:]:
        return value or None
    return f"{value[:10]}T{value[11:]}Z"


def since_epoch(value: Any, per_second: int) -> Any:
    """A number of units since 1970, also as text → the moment, in UTC.

    `per_second` is how many units a second has. What JSON would not write as a number, and what is
    beyond the years 1 to 9999, comes back as it is, and fails the later check.
    """
    number = numbers.of(value.strip() if isinstance(value, str) else value)
    if not numbers.is_number(number):
        return value
    try:
        return EPOCH + timedelta(microseconds=int(number * 1_000_000 // per_second))
    except ArithmeticError:
        return value
