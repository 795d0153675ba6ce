"""Times as files write them, more freely than /collect takes them."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from analytics.protocols.clock import EPOCH
from analytics.protocols.protocol import EventError
from analytics.zones import moment

SECONDS_BELOW = 10**11
"""A smaller number is in seconds since 1970, a larger one in milliseconds.

It would be the year 5138 in seconds, and 1973 in milliseconds.
"""

FIRST_IN_MILLISECONDS = EPOCH + timedelta(milliseconds=SECONDS_BELOW)
"""The first time that can be written in milliseconds."""

MICROSECONDS_FROM = 10**14
"""A number from here on is no time in milliseconds that anybody means: the year 5138."""

DAYS_BELOW = 10**5
"""A positive number below is no time in seconds, but the days that spreadsheets count."""

UNREADABLE = (
    "timestamp must be a date and time, such as 2026-11-01T10:00:00Z or 2026-11-01 10:00, "
    "or the seconds or milliseconds since 1970"
)

_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,9})?")
_TEXT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?))?"
    r" ?(?P<offset>[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)


def read(value: Any, zone: ZoneInfo | None) -> datetime | int:
    """A time of a line → an aware datetime, or milliseconds of a year that datetime has not.

    Besides RFC 3339: a blank for T, no seconds, `+00`, `+0000`, `UTC`, seconds since 1970, and in
    `zone` a local time or a date. Raises EventError for anything else, and for a local time without
    a zone.
    """
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return _text(value, zone)
        value = Decimal(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number(Decimal(value))
    raise _error(UNREADABLE)


def is_text(text: str) -> bool:
    """Whether a text is spelled like a date or a time."""
    return _TEXT.fullmatch(text.strip()) is not None


def _number(number: Decimal) -> datetime | int:
    if 0 < number < DAYS_BELOW:
        raise _error(
            "timestamp counts days, as spreadsheets do; write it as a date and time, such as "
            "2026-11-01 10:00"
        )
    if abs(number) >= MICROSECONDS_FROM:
        raise _error(
            "timestamp is too large for milliseconds since 1970; divide microseconds by 1,000 and "
            "nanoseconds by 1,000,000"
        )
    millis = number if abs(number) >= SECONDS_BELOW else number * 1000
    try:
        return EPOCH + timedelta(microseconds=int(millis * 1000))
    except OverflowError:
        return int(millis)


def _text(text: str, zone: ZoneInfo | None) -> datetime:
    parts = _TEXT.fullmatch(text)
    if parts is None:
        raise _error(UNREADABLE)
    day, time, offset = parts["day"], parts["time"], parts["offset"]
    try:
        if offset:
            zulu = "+00:00" if offset.isalpha() else offset
            return datetime.fromisoformat(f"{day}T{time or '00:00'}{zulu}")
        if zone is None:
            raise _error("timestamp has no offset; --tz says in which zone it is, such as --tz UTC")
        return moment(f"{day}T{time}" if time else day)(zone)
    except (ValueError, OverflowError) as error:
        raise _error(UNREADABLE) from error


def _error(message: str) -> EventError:
    return EventError("bad_timestamp", "timestamp", message)
