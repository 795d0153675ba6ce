"""Pieces: buckets cut into whole days and hours, which rollups have, and the rest, which only raw
rows have.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import msgspec

from analytics.derived.instants import DAY_SPAN, HOUR_SPAN

MAX_RAW = 0.25
"""Share of the hours up to which raw rows are read for what rollups do not cover; with more, all
is.
"""

EVER = datetime(1, 1, 1, tzinfo=UTC)
"""As a first edge: before all events."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


class Coverage(msgspec.Struct, frozen=True):
    """Where rollups are complete, in hours since 1970, and where they have rows; an instant before
    which there are no raw rows, if one is known.
    """

    since: int
    strays: frozenset[int]
    waiting: int
    first: int
    last: int
    earliest: datetime | None = None

    def has(self, hour: int) -> bool:
        return hour >= self.since and hour - hour % DAY_SPAN not in self.strays


class Unit(NamedTuple):
    """What is read and remembered as one: a day's rows, or those of some hours in a row, which lie
    in one bucket.
    """

    bucket: int
    span: int
    starts: range


class Pieces:
    """The buckets between edges, cut into units of rollups and ranges of raw rows."""

    def __init__(self, edges: Sequence[datetime], coverage: Coverage) -> None:
        self.edges = edges
        self.coverage = coverage
        self.units: list[Unit] = []
        self.raw: list[tuple[datetime, datetime]] = []
        self._firsts = [-((_EPOCH - edge) // _HOUR) for edge in edges]
        self._lasts = [(edge - _EPOCH) // _HOUR for edge in edges[1:]]
        for bucket, (start, end) in enumerate(pairwise(edges)):
            self._cut(bucket, start, end)
        begins = (
            edges[0]
            if edges[0] > EVER
            else min(edges[1], coverage.earliest or edges[1], _EPOCH + coverage.first * _HOUR)
        )
        self.mostly_raw = sum((end - start) / _HOUR for start, end in self.raw) > MAX_RAW * (
            (edges[-1] - begins) / _HOUR
        )

    def _cut(self, bucket: int, start: datetime, end: datetime) -> None:
        first, last = self._firsts[bucket], self._lasts[bucket]
        covered = max(first, min(self.coverage.since, last))
        if covered >= last:
            self._add_raw(start, end)
            return
        self._add_raw(start, _EPOCH + covered * _HOUR)
        for stray in sorted(self.coverage.strays):
            if covered < stray + DAY_SPAN and stray < last:
                self._add_raw(
                    _EPOCH + max(covered, stray) * _HOUR,
                    _EPOCH + min(last, stray + DAY_SPAN) * _HOUR,
                )
        self._add_raw(_EPOCH + last * _HOUR, end)
        self._add_units(
            bucket, max(covered, self.coverage.first), min(last, self.coverage.last + DAY_SPAN)
        )

    def _add_units(self, bucket: int, hour: int, last: int) -> None:
        """Days where they lie whole between these hours, and the hours before and after them."""
        while hour < last:
            day_ends = hour - hour % DAY_SPAN + DAY_SPAN
            until = min(day_ends, last)
            if until - hour == DAY_SPAN:
                if self.coverage.has(hour):
                    self.units.append(Unit(bucket, DAY_SPAN, range(hour, hour + 1)))
            elif self.coverage.has(hour):
                before = self.units[-1] if self.units else None
                if before and (before.bucket, before.span, before.starts.stop) == (
                    bucket,
                    HOUR_SPAN,
                    hour,
                ):
                    self.units[-1] = Unit(bucket, HOUR_SPAN, range(before.starts.start, until))
                else:
                    self.units.append(Unit(bucket, HOUR_SPAN, range(hour, until)))
            hour = until

    def _add_raw(self, start: datetime, end: datetime) -> None:
        start = max(start, self.coverage.earliest or start)
        if start < end:
            self.raw.append((start, end))

    def bucket(self, hour: int) -> int | None:
        """The bucket that a whole hour is in, if rollups have it."""
        at = bisect_right(self._firsts, hour) - 1
        return (
            at
            if 0 <= at < len(self._lasts) and hour < self._lasts[at] and self.coverage.has(hour)
            else None
        )
