"""Packed: the days of a question's range as columns, in the question's snapshot, for questions that
follow people.

    columns = await load(asked, read)      # None: only raw rows can say

Of a day at which nothing is changing there are the columns that the processor packed, or those that
were made of raw rows and remembered; a day is known by the parts of its rollups (`settled.py` says
why). All others are made of raw rows each time, which is why there must not be too many of them.
"""

import asyncio
import time
from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import LargeBinary, Text, and_, any_, func, literal, literal_column, null, select
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.derived.instants import DAY_SPAN, instant
from analytics.derived.packed_day import (
    FORMAT,
    MAX_ROWS,
    RECORD_SQL,
    Day,
    NamedRecords,
    UnnumberedActor,
    pack,
)
from analytics.queries.database.memory import Entry
from analytics.queries.database.snapshot import Snapshot, check_progress
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import addends, pieces, settled_days
from analytics.queries.precomputed.pieces import Coverage, Unit
from analytics.queries.precomputed.rollup import MAX_WAITING, Rollup
from analytics.queries.sequences.columns import EPOCH, MICROSECOND, NAMES, Columns
from analytics.tables import daily_metrics, packed_days, people, raw_events

ROW, VISIT = 150, 100
"""Bytes that a row takes while a day is packed, and a visit while sessions are made."""

MAX_NAMES = 5000
"""Of the rows of a day; for more (groups by user, say), other ways are better."""

FETCHED = 16
"""Packed days that are read by one statement."""


async def load(
    query: FilteredQuery,
    snapshot: Snapshot,
    by: Field | None = None,
    only: Sequence[Condition] = (),
    *,
    sessions: bool = False,
) -> Columns | None:
    """The rows that pass the question's filters, told apart by a field.

    None where too little of the range is settled, or it is too much to work on, which comes sooner
    where `sessions` are to be made of it. Rows of the wrong event, and rows that `only` does not
    want, may be left out. Raises Unavailable once it has taken too long; what is known by then
    stays known.
    """
    if by is not None and by.column in ("user_id", "session_id"):
        return None
    found = await _Loading(
        query,
        snapshot,
        None if by is not None and by.column in NAMES else by,
        only,
        VISIT if sessions else 0,
    ).days()
    return (
        None
        if found is None
        else await asyncio.to_thread(Columns, found, query.start, query.end, snapshot)
    )


class _Crowded(Exception):
    """More rows or names on a day, or rows in all, than can be held."""


class _Loading:
    """The days of one question, from where they are quickest."""

    def __init__(
        self,
        query: FilteredQuery,
        snapshot: Snapshot,
        by: Field | None,
        only: Sequence[Condition],
        visit: int,
    ) -> None:
        self._query = query
        self._snapshot = snapshot
        self._by = by
        self._only = only
        self._began = time.monotonic()
        self._size = 0
        self._visit = visit
        self._most = min(MAX_ROWS, snapshot.memory.limit // ROW)
        self._rollup = Rollup(snapshot)

    async def days(self) -> list[Day] | None:
        coverage = await self._rollup.covered(self._query.project, False)
        if coverage is None or coverage.waiting > MAX_WAITING:
            return None
        coverage = settled_days.without(
            coverage, await self._rollup.waiting(self._query.project) if coverage.waiting else []
        )
        most = pieces.MAX_RAW * ((self._query.end - self._query.start) / timedelta(hours=1))
        every = self._starts()
        unknown = range(every.start, min(every.stop, coverage.since), DAY_SPAN)
        # all but the first and the last are whole days
        if (len(unknown) - 2) * DAY_SPAN > most:
            return None
        changing = sorted({*unknown, *(start for start in coverage.strays if start in every)})
        if sum(map(self._hours, changing)) > most:
            return None
        try:
            await self._look_out(changing)
            found = await self._settled(coverage)
            found |= {start: await self._changing(start) for start in changing}
        except (UnnumberedActor, _Crowded):
            return None
        return [found[start] for start in sorted(found)]

    def _starts(self, first: int | None = None, last: int | None = None) -> range:
        """The first hours of the days in the range, from a first one to a last."""
        begin, end = (
            (moment - EPOCH) // timedelta(days=1) * DAY_SPAN
            for moment in (self._query.start, self._query.end - MICROSECOND)
        )
        return range(
            begin if first is None else max(begin, first),
            (end if last is None else min(end, last)) + DAY_SPAN,
            DAY_SPAN,
        )

    def _hours(self, start: int) -> float:
        """How many hours of a day are in the range."""
        since, until = self._clipped(start)
        return (until - since) / timedelta(hours=1)

    def _clipped(self, start: int) -> tuple[datetime, datetime]:
        end = instant(start + DAY_SPAN)
        return max(self._query.start, instant(start)), min(self._query.end, end)

    async def _settled(self, coverage: Coverage) -> dict[int, Day]:
        """The days at which nothing is changing: from memory, as they are packed, or from raw rows."""
        units = [
            Unit(0, DAY_SPAN, range(start, start + 1))
            for start in self._starts(coverage.first, coverage.last)
            if coverage.has(start)
        ]
        parts: dict[int, tuple[int, ...]] = {}
        for row in (
            await self._snapshot.rows(addends.parts(self._query.project, units)) if units else ()
        ):
            for start, number in zip(*row[1:], strict=True):
                parts[start] = (*parts.get(start, ()), number)
        found = {start: day for start in parts if (day := self._remembered(start, parts[start]))}
        if self._by is None and not self._query.where:
            found |= await self._packed(
                {start: numbers for start, numbers in parts.items() if start not in found}
            )
        missing = sorted(parts.keys() - found.keys(), reverse=True)
        await self._look_out(missing)
        for start in missing:
            day = await self._made(start, instant(start), instant(start + DAY_SPAN), self._passing)
            found[start] = self._remember(day, parts[start], "raw")
        return found

    async def _look_out(self, starts: Sequence[int]) -> None:
        """Raises _Crowded where a day has too many rows to be packed here."""
        if starts and await self._snapshot.rows(crowded(self._query.project, starts, self._most)):
            raise _Crowded

    async def _packed(self, missing: dict[int, tuple[int, ...]]) -> dict[int, Day]:
        found = {}
        starts = sorted(start for start, numbers in missing.items() if len(numbers) == 1)
        for at in range(0, len(starts), FETCHED):
            rows = await self._snapshot.rows(packed(self._query.project, starts[at : at + FETCHED]))
            for row in rows:
                if (row.part,) == missing[row.start]:
                    found[row.start] = self._remember(
                        await asyncio.to_thread(Day.decode, row.data), (row.part,), "rollup"
                    )
        return found

    async def _changing(self, start: int) -> Day:
        event = [] if self._query.event.everything else [self._query.event.condition]
        return self._found(
            await self._made(start, *self._clipped(start), [*self._passing, *event, *self._only]),
            "raw",
        )

    @property
    def _passing(self) -> list[Condition]:
        return [
            raw_events.c.project == self._query.project,
            *(where.condition for where in self._query.where),
        ]

    async def _made(
        self, start: int, since: datetime, until: datetime, conditions: Sequence[Condition]
    ) -> Day:
        """A day of raw rows."""
        check_progress(self._began)
        at = raw_events.c.timestamp
        rows = await self._snapshot.rows(
            records(self._query.project, [*conditions, at >= since, at < until], self._by),
            linked=False,
        )
        return await asyncio.to_thread(
            pack,
            start,
            [
                NamedRecords((row.event_type, row.event_action, row.key), row.n, row.records or b"")
                for row in rows
            ],
        )

    def _key(self, start: int) -> Hashable:
        return (
            "columns",
            self._query.project,
            start,
            self._by and self._by.text,
            frozenset(where.text for where in self._query.where),
        )

    def _remembered(self, start: int, parts: tuple[int, ...]) -> Day | None:
        kept = self._snapshot.memory.find(self._key(start), people=False)
        if kept is None or kept.cells[:1] != (parts,):
            return None
        _, source, day = kept.cells
        return self._found(day, source)

    def _remember(self, day: Day, parts: tuple[int, ...], source: str) -> Day:
        self._snapshot.memory.keep(
            self._key(day.start), Entry((parts, source, day), False, day.size)
        )
        return self._found(day, source)

    def _found(self, day: Day, source: str) -> Day:
        """A day that is one of the answer's. Raises _Crowded where it is too much."""
        self._size += day.size + self._visit * len(day.visits)
        if len(day.names) > MAX_NAMES or self._size > self._snapshot.memory.limit:
            raise _Crowded
        self._snapshot.sources.add(source)
        return day


def packed(project: str, starts: Sequence[int]) -> Statement:
    """`start`, `part` and `data` of the packed days that there are."""
    table = packed_days.c
    some = [
        table.project == project,
        table.start == any_(literal(list(starts), ARRAY(table.start.type))),
        func.get_byte(table.data, 0) == FORMAT,
    ]
    return select(table.start, table.part, table.data).where(*some)


def records(project: str, conditions: Sequence[Condition], by: Field | None) -> Statement:
    """Each name with the number of its rows, and as `records` those rows whose actors have numbers."""
    key = (null().cast(Text) if by is None else by.value).label("key")
    names = (raw_events.c.event_type, raw_events.c.event_action, key)
    rows = raw_events.outerjoin(people, and_(people.c.project == project, people.c.actor == ACTOR))
    gathered = func.string_agg(
        literal_column(RECORD_SQL, LargeBinary), literal(b"", LargeBinary)
    ).label("records")
    return (
        select(*names, func.count().label("n"), gathered)
        .select_from(rows)
        .where(*conditions)
        .group_by(*names)
    )


def crowded(project: str, starts: Sequence[int], most: int) -> Statement:
    """A row for each of some days that has too many rows."""
    table, days = daily_metrics.c, [instant(start).date() for start in starts]
    every = and_(
        table.metric_name == "events",
        table.dimension_key == "",
        table.dimension_value == "",
        table.value > most,
    )
    return select(table.date).where(
        table.project == project, every, table.date == any_(literal(days, ARRAY(table.date.type)))
    )
