"""Finds the newest rows that pass the filters, and skips days known to have none.

The newest hours are read at once; most lists need no more. Before them the windows grow: days that
are not known yet are counted, and the counts cached as for trends; rows are read only where there
are some. So the cost depends on the page, and on the range only the first time.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Row

from analytics.derived.instants import EPOCH
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.distribution import Distribution
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.precomputed.summaries import NumberSpec, TimestampField

NEWEST = timedelta(hours=6)
"""Length of the newest window, besides what is before it of its UTC day."""

WINDOW_DAYS = (8, 64, 512)
"""Length of each window before that. What is older than all of them is one window."""

_DAY = timedelta(days=1)

TIMESTAMPS = NumberSpec(TimestampField(), needs_all=True)
EXACT_YEARS = range(1700, 2250)
"""Years whose timestamps doubles hold to the microsecond."""

Range = tuple[datetime, datetime]

PageStatement = Callable[[Range, int, Sequence[datetime] | None], Statement]
"""The newest rows between two instants, newest first, at most so many; with a sequence of
timestamps only rows of exactly these.
"""


async def walk(
    query: FilteredQuery,
    end: datetime,
    limit: int,
    page: PageStatement,
    full: Callable[[Sequence[Row[Any]]], bool],
    snapshot: Snapshot,
) -> list[Row[Any]]:
    """The newest rows between the query's start and an instant, newest first, at most `limit`.

    It ends once the rows are `full`, which they are with `limit` rows and where a page was cut.
    `page` may filter by `event` and `where` only, as the counts do.
    """
    rows: list[Row[Any]] = []
    rollup = Rollup(snapshot)
    for at, window in enumerate(windows(query.start, end)):
        pieces, few = [(window[0], window[-1])], False
        if 0 < at <= len(WINDOW_DAYS):
            pieces, few = await _days_with_rows(query, window, limit - len(rows), rollup)
        # Where all rows left are fewer than a page, they are looked up by their timestamps, which
        # are cached: a filter that no index serves is then not applied to whole days again.
        instants = await _instants(query, pieces, rollup) if few and pieces else None
        if instants is not None:
            pieces = [(pieces[-1][0], pieces[0][1])]
        for piece in pieces:
            rows += await snapshot.rows(page(piece, limit - len(rows), instants))
            if full(rows):
                return rows
    return rows


def windows(start: datetime, end: datetime) -> Iterator[list[datetime]]:
    """The range in windows, newest first, each as its edges.

    The edges are UTC midnights, except of the newest window and of the oldest, which is one piece.
    """
    if end <= start:
        return
    begin = start if end - start <= NEWEST else max(start, _midnight(end - NEWEST))
    yield [begin, end]
    for days in WINDOW_DAYS:
        until = begin
        begin = start if until - start <= timedelta(days=days) else until - timedelta(days=days)
        if begin == until:
            return
        yield _days(begin, until)
    if start < begin:
        yield [start, begin]


def _days(start: datetime, end: datetime) -> list[datetime]:
    """A range cut at UTC midnights."""
    edges = [start]
    midnight = _midnight(start) + _DAY
    while midnight < end:
        edges.append(midnight)
        midnight += _DAY
    return [*edges, end]


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def _days_with_rows(
    query: FilteredQuery, edges: Sequence[datetime], limit: int, rollup: Rollup
) -> tuple[list[Range], bool]:
    """The days of a window that hold its newest rows, and whether these are fewer than `limit`.

    Newest first; neighbouring days are one range. The whole window where only raw rows know.
    """
    buckets = await rollup.buckets(query, edges, people=False)
    if buckets is None:
        return [(edges[0], edges[-1])], False
    pieces: list[Range] = []
    rows = 0
    for bucket, (start, until) in reversed([*zip(buckets, pairwise(edges), strict=True)]):
        if bucket and pieces and pieces[-1][0] == until:
            pieces[-1] = (start, pieces[-1][1])
        elif bucket:
            pieces.append((start, until))
        rows += sum(sum_.count for sum_ in bucket.values())
        if rows >= limit:
            break
    return pieces, rows < limit


async def _instants(
    query: FilteredQuery, pieces: Sequence[Range], rollup: Rollup
) -> list[datetime] | None:
    """The timestamps of all rows in some ranges, from the cache or cached now.

    None where only raw rows know, or where doubles are too coarse for the timestamps.
    """
    instants: list[datetime] = []
    for start, end in pieces:
        if start.year not in EXACT_YEARS or end.year not in EXACT_YEARS:
            return None
        days = await rollup.summaries(query, _days(start, end), None, TIMESTAMPS)
        if days is None:
            return None
        for day in days:
            for summary in day.values():
                if isinstance(summary, Distribution):
                    instants += [EPOCH + timedelta(microseconds=us) for us in summary.numbers]
    return instants
