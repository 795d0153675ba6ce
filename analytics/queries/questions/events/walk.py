"""Walk: the newest rows that pass a question's filters, looked for from an instant back, past days
that are known to have none.

The newest hours are read at once, which is all that most lists need. Before them windows grow: what
is not known of their days is counted and remembered, as it is for trends, and rows are read only
where there are some.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Row

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.figures import Instants, Of, Spread
from analytics.queries.precomputed.rollup import Rollup

HOURS = timedelta(hours=6)
"""Read at once, with what there is before them of their UTC day."""

DAYS = (8, 64, 512)
"""Of each window before that; what is older than all of them is read as it is."""

DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INSTANTS = Of(Instants(), each=True)
YEARS = range(1700, 2250)
"""In which they are exact."""

Range = tuple[datetime, datetime]

Page = Callable[[Range, int, Sequence[datetime] | None], Statement]
"""The newest rows between two instants (and, if any are given, of just these), at most so many,
newest first.
"""


async def walk(
    query: FilteredQuery, end: datetime, limit: int, page: Page, snapshot: Snapshot
) -> list[Row[Any]]:
    """The newest rows from the start of the range to an instant, at most so many, newest first. No
    filters but `event` and `where` may be in the page.
    """
    found: list[Row[Any]] = []
    rollup = Rollup(snapshot)
    for at, window in enumerate(windows(query.start, end)):
        pieces, few = (
            ([(window[0], window[-1])], False)
            if at in (0, len(DAYS) + 1)
            else await _with_rows(query, window, limit - len(found), rollup)
        )
        instants = await _instants(query, pieces, rollup) if few and pieces else None
        for piece in pieces if instants is None else [(pieces[-1][0], pieces[0][1])]:
            found += await snapshot.rows(page(piece, limit - len(found), instants))
            if len(found) == limit:
                return found
    return found


def windows(start: datetime, end: datetime) -> Iterator[list[datetime]]:
    """The range in windows, newest first, each by its edges: those of its UTC days, but for the
    newest and for what is older than all others.
    """
    if end <= start:
        return
    begins = start if end - start <= HOURS else max(start, _midnight(end - HOURS))
    yield [begins, end]
    for days in DAYS:
        until, begins = (
            begins,
            begins - timedelta(days=days) if begins - start > timedelta(days=days) else start,
        )
        if begins == until:
            return
        yield _days(begins, until)
    if start < begins:
        yield [start, begins]


def _days(start: datetime, end: datetime) -> list[datetime]:
    edges = [start]
    midnight = _midnight(start) + DAY
    while midnight < end:
        edges.append(midnight)
        midnight += DAY
    return [*edges, end]


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def _with_rows(
    query: FilteredQuery, edges: Sequence[datetime], limit: int, rollup: Rollup
) -> tuple[list[Range], bool]:
    """What of a window has its newest rows, at most so many, newest first and in as few pieces as
    that takes, and whether it has fewer.

    All of it where nobody knows.
    """
    buckets = await rollup.buckets(query, edges, people=False)
    if buckets is None:
        return [(edges[0], edges[-1])], False
    pieces: list[Range] = []
    known = 0
    for bucket, (start, until) in reversed([*zip(buckets, pairwise(edges), strict=True)]):
        if bucket and pieces and pieces[-1][0] == until:
            pieces[-1] = (start, pieces[-1][1])
        elif bucket:
            pieces.append((start, until))
        known += sum(sum_.count for sum_ in bucket.values())
        if known >= limit:
            break
    return pieces, known < limit


async def _instants(
    query: FilteredQuery, pieces: Sequence[Range], rollup: Rollup
) -> list[datetime] | None:
    """When something in the pieces happened, which is remembered too; None where nobody knows."""
    found: list[float] = []
    for start, end in pieces:
        days = (
            await rollup.figures(query, _days(start, end), None, INSTANTS)
            if start.year in YEARS and end.year in YEARS
            else None
        )
        if days is None:
            return None
        found += [
            number
            for day in days
            for spread in day.values()
            if isinstance(spread, Spread)
            for number in spread.numbers
        ]
    return [_EPOCH + timedelta(microseconds=number) for number in found]
