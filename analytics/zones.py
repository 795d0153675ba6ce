"""Time zones, and the instants that local times mean in them.

Only Python computes with time zones; SQL only sees instants.
"""

import re
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]"
    r"([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    r"([Zz]|[ +-][0-9]{2}:?[0-9]{2})?"
)

Moment = Callable[[ZoneInfo], datetime]
"""From a time zone to the instant that a text means there."""


@cache
def _zones() -> frozenset[str]:
    # `localtime` is this machine's own zone, `Factory` is none at all
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def zone(text: str) -> ZoneInfo:
    """An IANA time zone.

    Raises ValueError for any other name, and never looks for a file of that name.
    """
    if text not in _zones():
        raise ValueError(
            f"no time zone is called {text[:50]!r}; use an IANA name like Europe/Berlin"
        )
    return ZoneInfo(text)


def moment(text: str) -> Moment:
    """An ISO 8601 date (its first instant in the zone) or date-time (local without an offset).

    Raises ValueError for any other text.
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
    return lambda zone: stated.astimezone(UTC) if stated.tzinfo else instant_of(stated, zone)


def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local day begins: its midnight, or the end of a skip over it."""
    return instant_of(datetime.combine(day, time()), zone)


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a local time, given without a zone.

    A local time that occurs twice is its first reading. One that clocks skip is the first instant
    after the skip.
    """
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    return transition(local.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


def transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second in (before, after] with another UTC offset than `before` has."""
    offset = before.astimezone(zone).utcoffset()
    low = before.replace(microsecond=0)
    high = after + timedelta(microseconds=-after.microsecond % 1_000_000)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
