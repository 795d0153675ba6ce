"""Instants: how parameters write them, and what local time means. Python alone decides this; SQL
only ever sees instants.
"""

import re
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import ClassVar
from zoneinfo import ZoneInfo

import msgspec

UTC_ZONE = ZoneInfo("UTC")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)([Zz]|[ +-][0-9]{2}:?[0-9]{2})?"
)
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")

Moment = Callable[[ZoneInfo], datetime]
"""An instant that waits for its zone."""


@cache
def _zones() -> frozenset[str]:
    return frozenset(
        zoneinfo.available_timezones() - {"localtime", "Factory"}
    )  # this machine's own zone, and none at all


def zone(text: str) -> ZoneInfo:
    """An IANA time zone. Raises ValueError for any other name, without touching a file of that
    name.
    """
    if text not in _zones():
        raise ValueError(
            f"no time zone is called {text[:50]!r}; use an IANA name like Europe/Berlin"
        )
    return ZoneInfo(text)


def moment(text: str) -> Moment:
    """An ISO 8601 date (its first instant in the zone) or date-time (local if it has no offset).
    Raises ValueError otherwise.
    """
    if _DATE.fullmatch(text):
        day = date.fromisoformat(text)
        return lambda zone: first_instant(day, zone)
    parts = _DATE_TIME.fullmatch(text)
    if parts is None:
        raise ValueError(
            "it is an ISO date like 2026-11-23, or a date-time like 2026-11-23T14:00:00Z"
        )
    offset = (parts[3] or "").upper().replace(" ", "+")  # a bare + reaches us as a space
    stated = datetime.fromisoformat(f"{parts[1]}T{parts[2]}{offset}")
    return lambda zone: (stated if stated.tzinfo else stated.replace(tzinfo=zone)).astimezone(UTC)


class Duration(msgspec.Struct, frozen=True):
    """`30m`, `14d`: an exact length of time; a day is 24 hours."""

    examples: ClassVar = ("30m", "14d")

    text: str
    seconds: int

    @classmethod
    def read(cls, text: str) -> "Duration":
        """Raises ValueError for anything that is not a positive whole number and a unit."""
        return cls(text, _seconds(text))


def _seconds(text: str) -> int:
    parts = _DURATION.fullmatch(text)
    if parts is None or int(parts[1]) == 0:
        raise ValueError("it is a number and a unit, s m h d or w, like 24h or 30d")
    return int(parts[1]) * SECONDS[parts[2]]


class Last(msgspec.Struct, frozen=True):
    """`90m`, `24h`, `30d`, `12w`: a range ending now; days and weeks go back to local midnight."""

    examples: ClassVar = ("90m", "30d")

    text: str
    seconds: int
    whole_days: bool

    @classmethod
    def read(cls, text: str) -> "Last":
        """Raises ValueError for anything that is not a positive whole number and a unit."""
        return cls(text, _seconds(text), text[-1] in "dw")

    def before(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Where the range begins. Raises OverflowError for a time before the year 1."""
        start = now - timedelta(seconds=self.seconds)
        return first_instant(start.astimezone(zone).date(), zone) if self.whole_days else start


LAST_30_DAYS = Last.read("30d")


def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """When a local day begins: its midnight, the first if there are two; where clocks skip
    midnight, the end of the skip.
    """
    midnight = datetime.combine(day, time())
    instant = midnight.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight:
        return instant
    return transition(midnight.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


def transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second in (before, after] at which clocks no longer differ from UTC as they
    did at `before`.
    """
    offset = before.astimezone(zone).utcoffset()
    low, high = (
        before.replace(microsecond=0),
        after + timedelta(microseconds=-after.microsecond % 1_000_000),
    )
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (
            (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
        )
    return high


def shown(instant: datetime, zone: ZoneInfo) -> str:
    """An instant with its local offset, or in UTC where the offset of old has seconds, which RFC
    3339 cannot say.
    """
    local = instant.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    return (
        local if offset % timedelta(minutes=1) == timedelta() else instant.astimezone(UTC)
    ).isoformat()
