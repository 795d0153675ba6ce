"""Cuts each bucket into whole days and hours, read from rollups, and a rest read from raw rows."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import msgspec

from analytics.derived.instants import DAY_SPAN, EPOCH, HOUR_SPAN

MAX_RAW_SHARE = 0.25
"""Share of the hours that may come from raw rows. With more, one pass over all is better."""

FIRST_EVENT = datetime(1, 1, 1, tzinfo=UTC)
"""As a first edge: the bucket starts with the first event ever."""

_HOUR = timedelta(hours=1)


class Coverage(msgspec.Struct, frozen=True):
    """Which days of a project its rollups can answer. Hours count from 1970, in UTC."""

    since_hour: int
    """Rollups are complete from this hour on."""
    strays: frozenset[int]
    """First hours of days whose raw rows changed without a delta: only raw rows are right there."""
    pending_events: int
    """Events in deltas, which compaction has not moved into rollups yet."""
    first_hour: int
    """First hour of the first day with rollups; 0 without any."""
    last_hour: int
    """First hour of the last day with rollups; 0 without any."""
    nameless: frozenset[int] = frozenset()
    """First hours of days with too many names: only raw rows are right for who asks for names."""
    earliest: datetime | None = None
    """An instant without raw rows before it, if one is known."""

    def has(self, hour: int) -> bool:
        """Whether rollups are right about an hour."""
        return hour >= self.since_hour and hour - hour % DAY_SPAN not in self.strays


class Block(NamedTuple):
    """Rollups that are read and cached as one: a day, or consecutive hours, within one bucket."""

    bucket: int
    span: int
    """Hours that each row covers: DAY_SPAN or HOUR_SPAN."""
    starts: range
    """The rows' first hours, since 1970."""

    @property
    def end_hour(self) -> int:
        """The first hour after the block."""
        return self.starts.stop - 1 + self.span


class Pieces:
    """The buckets between edges, cut into blocks of rollups and ranges of raw rows."""

    def __init__(self, edges: Sequence[datetime], coverage: Coverage) -> None:
        self.edges = edges
        self.coverage = coverage
        self.blocks: list[Block] = []
        self.raw_ranges: list[tuple[datetime, datetime]] = []
        # In whole hours: a bucket's first rounded up (by negating twice), its last rounded down.
        self._first_hours = [-((EPOCH - edge) // _HOUR) for edge in edges]
        self._last_hours = [(edge - EPOCH) // _HOUR for edge in edges[1:]]
        self._strays = sorted(coverage.strays)
        for bucket, (start, end) in enumerate(pairwise(edges)):
            self._cut(bucket, start, end)
        raw_hours = sum((end - start) / _HOUR for start, end in self.raw_ranges)
        self.mostly_raw = raw_hours > MAX_RAW_SHARE * ((edges[-1] - self._begin()) / _HOUR)
        """Whether more than MAX_RAW_SHARE of the range would come from raw rows."""

    def _begin(self) -> datetime:
        """Where the range begins, for its length: with FIRST_EVENT, where events may begin."""
        if self.edges[0] > FIRST_EVENT:
            return self.edges[0]
        first_rollup = EPOCH + self.coverage.first_hour * _HOUR
        return min(self.edges[1], self.coverage.earliest or self.edges[1], first_rollup)

    def _cut(self, bucket: int, start: datetime, end: datetime) -> None:
        """Cut one bucket. Its parts, in order of time:

        1. before the first whole hour that rollups cover: raw rows
        2. whole hours: blocks, except stray days, which are raw rows
        3. after the last whole hour: raw rows
        """
        first, last = self._first_hours[bucket], self._last_hours[bucket]
        covered = max(first, min(self.coverage.since_hour, last))
        if covered >= last:
            self._add_raw(start, end)
            return
        self._add_raw(start, EPOCH + covered * _HOUR)
        touching = bisect_right(self._strays, covered - DAY_SPAN), bisect_left(self._strays, last)
        for stray in self._strays[slice(*touching)]:
            stray_start, stray_end = max(covered, stray), min(last, stray + DAY_SPAN)
            self._add_raw(EPOCH + stray_start * _HOUR, EPOCH + stray_end * _HOUR)
        self._add_raw(EPOCH + last * _HOUR, end)
        # There are no rows outside first_hour and last_hour, so no blocks for centuries of nothing.
        until = min(last, self.coverage.last_hour + DAY_SPAN)
        self._add_blocks(bucket, max(covered, self.coverage.first_hour), until)

    def _add_blocks(self, bucket: int, hour: int, last: int) -> None:
        """Add each day that lies whole between two hours, and the hours before and after them."""
        while hour < last:
            until = min(hour - hour % DAY_SPAN + DAY_SPAN, last)
            if self.coverage.has(hour):
                if until - hour == DAY_SPAN:
                    self.blocks.append(Block(bucket, DAY_SPAN, range(hour, hour + 1)))
                else:
                    self._add_hours(bucket, hour, until)
            hour = until

    def _add_hours(self, bucket: int, hour: int, until: int) -> None:
        """Add hours, to the block before if they follow on from its hours."""
        if self.blocks:
            bucket_before, span, starts = self.blocks[-1]
            if (bucket_before, span, starts.stop) == (bucket, HOUR_SPAN, hour):
                self.blocks[-1] = Block(bucket, HOUR_SPAN, range(starts.start, until))
                return
        self.blocks.append(Block(bucket, HOUR_SPAN, range(hour, until)))

    def _add_raw(self, start: datetime, end: datetime) -> None:
        start = max(start, self.coverage.earliest or start)
        if start < end:
            self.raw_ranges.append((start, end))

    def bucket_of(self, hour: int) -> int | None:
        """The bucket that a whole hour is in; None where rollups do not cover the hour."""
        bucket = bisect_right(self._first_hours, hour) - 1
        if not 0 <= bucket < len(self._last_hours) or hour >= self._last_hours[bucket]:
            return None
        return bucket if self.coverage.has(hour) else None
