"""Intervals: where buckets of time begin and end in a time zone.

Python alone decides that. SQL gets the edges and sorts rows between them (`width_bucket`), so that
no two places can differ about what a local day is.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import msgspec

from analytics.zones import first_instant, transition

MAX_BUCKETS = 11_000


class Interval(msgspec.Struct, frozen=True):
    """The length of a bucket. Buckets are half-open and leave no gaps."""

    choices: ClassVar = ("minute", "hour", "day", "week", "month")

    text: str

    @classmethod
    def read(cls, text: str) -> "Interval":
        """Raises ValueError for any other word."""
        if text not in INTERVALS:
            raise ValueError(f"it is one of {', '.join(INTERVALS)}")
        return INTERVALS[text]

    def floor(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """The start of the bucket that holds `instant`."""
        raise NotImplementedError

    def after(self, edge: datetime, zone: ZoneInfo) -> datetime:
        """The end of the bucket that begins at `edge`."""
        raise NotImplementedError


class ClockInterval(Interval, frozen=True):
    """Steps of the local clock.

    A change of the offset from UTC begins a bucket: an hour that clocks repeat is two buckets.
    """

    step: timedelta

    def floor(self, instant: datetime, zone: ZoneInfo) -> datetime:
        local = instant.astimezone(zone)
        start = instant - self._into(local)
        if start.astimezone(zone).utcoffset() == local.utcoffset():
            return start
        return transition(start, instant, zone)

    def after(self, edge: datetime, zone: ZoneInfo) -> datetime:
        local = edge.astimezone(zone)
        end = edge - self._into(local) + self.step
        if end.astimezone(zone).utcoffset() == local.utcoffset():
            return end
        return transition(edge, end, zone)

    def _into(self, local: datetime) -> timedelta:
        """How long ago the step began, by the local clock."""
        return (
            timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            % self.step
        )


class Calendar(Interval, frozen=True):
    """Local days, weeks or months. A day that the zone skipped is no bucket."""

    first: Callable[[date], date]
    """The first day of the period with this day."""
    days: int
    """Of the longest period."""

    def floor(self, instant: datetime, zone: ZoneInfo) -> datetime:
        day = self.first(instant.astimezone(zone).date() + timedelta(days=1))
        while (start := first_instant(day, zone)) > instant:
            day = self.first(day - timedelta(days=1))
        return start

    def after(self, edge: datetime, zone: ZoneInfo) -> datetime:
        day = self.first(edge.astimezone(zone).date())
        while (end := first_instant(day, zone)) <= edge:
            day = self.first(day + timedelta(days=self.days))
        return end


DAY = Calendar("day", lambda day: day, 1)

INTERVALS: dict[str, Interval] = {
    interval.text: interval
    for interval in (
        ClockInterval("minute", timedelta(minutes=1)),
        ClockInterval("hour", timedelta(hours=1)),
        DAY,
        Calendar("week", lambda day: day - timedelta(days=day.weekday()), 7),
        Calendar("month", lambda day: day.replace(day=1), 31),
    )
}


def edges(start: datetime, end: datetime, interval: Interval, zone: ZoneInfo) -> list[datetime]:
    """The edges of the buckets from `start` to `end`: one edge more than there are buckets.

    Raises ValueError beyond MAX_BUCKETS.
    """
    edges = [interval.floor(start, zone)]
    while edges[-1] < end:
        if len(edges) > MAX_BUCKETS:
            raise ValueError(
                f"more than {MAX_BUCKETS:,} buckets; ask for a shorter range or a longer interval"
            )
        edges.append(interval.after(edges[-1], zone))
    return edges


def edges_before(edge: datetime, count: int, interval: Interval, zone: ZoneInfo) -> list[datetime]:
    """The first edges of the `count` buckets before `edge`, ascending, without `edge` itself.

    Raises OverflowError before the year 1.
    """
    backward = [edge]
    for _ in range(count):
        backward.append(interval.floor(backward[-1] - timedelta(microseconds=1), zone))
    return backward[:0:-1]
