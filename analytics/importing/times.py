"""Times as files write them, more freely than /collect takes them."""

import re
from datetime import UTC, datetime, timedelta
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

_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,9})?")
_TEXT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?))?"
    r" ?(?P<offset>[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)


def read(value: Any, zone: ZoneInfo | None) -> Any:
    """A time of a line → an aware datetime, or the value itself if it is none that we know.

    Besides RFC 3339: a blank for T, no seconds, `+00`, `+0000`, `UTC`, seconds since 1970, and in
    `zone` a local time or a date. Raises EventError for a local time without a zone.
    """
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return _number(Decimal(value))
        return _text(value, zone)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number(Decimal(value))
    return value


def _number(number: Decimal) -> Any:
    if abs(number) >= SECONDS_BELOW:
        return int(number) if number == int(number) else number
    try:
        return EPOCH + timedelta(microseconds=int(number * 1_000_000))
    except OverflowError:
        return int(number * 1_000)


def _text(text: str, zone: ZoneInfo | None) -> Any:
    parts = _TEXT.fullmatch(text.strip())
    if parts is None:
        return text
    day, time, offset = parts["day"], parts["time"], parts["offset"]
    try:
        if offset:
            zulu = "+00:00" if offset.isalpha() else offset
            return datetime.fromisoformat(f"{day}T{time or '00:00'}{zulu}").astimezone(UTC)
        if zone is None:
            raise EventError(
                "bad_timestamp",
                "timestamp",
                "timestamp has no offset; --tz says in which zone it is, such as --tz UTC",
            )
        return moment(f"{day}T{time}" if time else day)(zone)
    except (ValueError, OverflowError):
        return text
