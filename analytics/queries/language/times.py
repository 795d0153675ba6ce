"""Durations as parameters write them, and instants as answers show them."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import msgspec

from analytics.spans import parse_span
from analytics.zones import first_instant


class Duration(msgspec.Struct, frozen=True):
    """`30m`, `14d`: an exact length of time; a day is 24 hours."""

    examples: ClassVar = ("30m", "14d")

    text: str
    seconds: int

    @classmethod
    def read(cls, text: str) -> "Duration":
        """Raises ValueError for anything but a positive whole number and a unit."""
        return cls(text, _seconds(text))


def _seconds(text: str) -> int:
    seconds = parse_span(text)
    if not seconds:
        raise ValueError("it is a number and a unit, s m h d or w, like 24h or 30d")
    return seconds


class Last(msgspec.Struct, frozen=True):
    """`90m`, `24h`, `30d`, `12w`: a range ending now; days and weeks go back to local midnight."""

    examples: ClassVar = ("90m", "30d")

    text: str
    seconds: int
    whole_days: bool

    @classmethod
    def read(cls, text: str) -> "Last":
        """Raises ValueError for anything but a positive whole number and a unit."""
        return cls(text, _seconds(text), text[-1] in "dw")

    def before(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The start of the range. Raises OverflowError if it is before the year 1."""
        start = now - timedelta(seconds=self.seconds)
        return first_instant(start.astimezone(zone).date(), zone) if self.whole_days else start


LAST_30_DAYS = Last.read("30d")


def shown(instant: datetime, zone: ZoneInfo) -> str:
    """An instant with its local offset, as RFC 3339.

    RFC 3339 has no seconds in offsets, as zones had long ago; such an instant is shown in UTC.
    """
    local = instant.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    whole_minutes = offset % timedelta(minutes=1) == timedelta()
    return (local if whole_minutes else instant.astimezone(UTC)).isoformat()
