"""Loads the days of a query's range as columns, in its snapshot, for questions that follow people.

    columns = await load(query, snapshot)  # None: only raw rows can answer

An unchanged day comes from the cache, as the processor packed it, or from raw rows, which are then
cached. Its rows are identified by the parts of its rollups (`unchanged_days.py` says why). Changed
days are read from raw rows each time, so they must be few.
"""

import asyncio
import time
from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import LargeBinary, Text, and_, any_, func, literal, literal_column, null, select
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.derived.instants import DAY_SPAN, EPOCH, MICROSECOND, instant
from analytics.derived.packed_day import (
    FORMAT,
    MAX_ROWS,
    RECORD_SQL,
    Day,
    NamedRecords,
    UnnumberedActor,
    pack,
)
from analytics.queries.database.memory import MemoryEntry
from analytics.queries.database.snapshot import Snapshot, check_progress
from analytics.queries.database.texts import bounded, is_cut
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import pieces, statements, unchanged_days
from analytics.queries.precomputed.pieces import Block, Coverage
from analytics.queries.precomputed.rollup import MAX_PENDING_EVENTS, Rollup
from analytics.queries.sequences.columns import NAME_FIELDS, Columns
from analytics.tables import daily_metrics, packed_days, people, raw_events

ROW_BYTES = 150
"""Memory that a row takes while its day is packed."""

STRETCH_BYTES = 100
"""Memory that a stretch takes while sessions are put together."""

MAX_DAY_NAMES = 5000
"""Names of a day's rows. With more (by user, say), PostgreSQL is quicker."""

DAYS_AT_ONCE = 16
"""Packed days that one statement reads."""

Parts = tuple[int, ...]
"""The numbers of all parts of a day's rollups, which identify its raw rows."""


async def load(
    query: FilteredQuery,
    snapshot: Snapshot,
    by: Field | None = None,
    only: Sequence[Condition] = (),
    *,
    sessions: bool = False,
) -> Columns | None:
    """The rows that pass the filters, with a field's value in their names.

    Rows of other events than the query's, and rows that `only` excludes, may be there or not: the
    caller picks rows by name. `sessions` says that sessions will be made of them, which takes more
    memory. None where too many days are changed, or where it is too much to hold. Raises
    Unavailable once it has taken too long; what is read stays cached.
    """
    if by is not None and by.column in ("user_id", "session_id"):
        return None
    key = None if by is not None and by.column in NAME_FIELDS else by
    days = await _Loader(query, snapshot, key, only, STRETCH_BYTES if sessions else 0).days()
    if days is None:
        return None
    return await asyncio.to_thread(Columns, days, query.start, query.end, snapshot)


class _TooLarge(Exception):
    """More rows or names on a day, or rows in all, than can be held."""


class _Loader:
    """Loads the days of one query, each from where that is quickest."""

    def __init__(
        self,
        query: FilteredQuery,
        snapshot: Snapshot,
        by: Field | None,
        only: Sequence[Condition],
        stretch_bytes: int,
    ) -> None:
        self._query = query
        self._snapshot = snapshot
        self._by = by
        self._only = only
        self._began = time.monotonic()
        self._size_bytes = 0
        self._stretch_bytes = stretch_bytes
        self._max_rows = min(MAX_ROWS, snapshot.memory.limit_bytes // ROW_BYTES)
        self._rollup = Rollup(snapshot)

    async def days(self) -> list[Day] | None:
        """All days, oldest first. Days are known by their first hour since 1970."""
        coverage = await self._rollup.coverage(self._query.project)
        if coverage is None or coverage.pending_events > MAX_PENDING_EVENTS:
            return None
        pending = []
        if coverage.pending_events:
            pending = await self._rollup.pending_deltas(self._query.project)
        if any(day in self._starts() for day in coverage.nameless):
            return None
        coverage = unchanged_days.without_pending(coverage, pending)
        changed = self._changed_days(coverage)
        if changed is None:
            return None
        try:
            await self._check_rows(changed)
            days = await self._unchanged(coverage)
            days |= {start: await self._changed(start) for start in changed}
        except (UnnumberedActor, _TooLarge):
            return None
        return [days[start] for start in sorted(days)]

    def _changed_days(self, coverage: Coverage) -> list[int] | None:
        """The days with changes that their rollup parts do not show yet; None if too many."""
        range_hours = (self._query.end - self._query.start) / timedelta(hours=1)
        max_hours = pieces.MAX_RAW_SHARE * range_hours
        starts = self._starts()
        uncovered = range(starts.start, min(starts.stop, coverage.since_hour), DAY_SPAN)
        # Every day but the first and the last is whole. This check goes before the sum of hours,
        # because a range of all time has millions of days.
        if (len(uncovered) - 2) * DAY_SPAN > max_hours:
            return None
        changed = sorted({*uncovered, *(start for start in coverage.strays if start in starts)})
        return None if sum(map(self._hours, changed)) > max_hours else changed

    def _starts(self, first: int | None = None, last: int | None = None) -> range:
        """The first hours of the days in the range, from `first` to `last` if given."""
        begin, end = (
            (moment - EPOCH) // timedelta(days=1) * DAY_SPAN
            for moment in (self._query.start, self._query.end - MICROSECOND)
        )
        begin = begin if first is None else max(begin, first)
        end = end if last is None else min(end, last)
        return range(begin, end + DAY_SPAN, DAY_SPAN)

    def _hours(self, start: int) -> float:
        """How many hours of a day are in the range."""
        since, until = self._clipped(start)
        return (until - since) / timedelta(hours=1)

    def _clipped(self, start: int) -> tuple[datetime, datetime]:
        """The part of a day that is in the range."""
        day_end = instant(start + DAY_SPAN)
        return max(self._query.start, instant(start)), min(self._query.end, day_end)

    async def _unchanged(self, coverage: Coverage) -> dict[int, Day]:
        """The unchanged days: cached, packed, or from raw rows.

        Packed days have all rows, so they only serve queries without filters and fields.
        """
        parts = await self._parts(coverage)
        days = {start: day for start in parts if (day := self._cached(start, parts[start]))}
        if self._by is None and not self._query.where:
            days |= await self._packed(
                {start: numbers for start, numbers in parts.items() if start not in days}
            )
        missing = sorted(parts.keys() - days.keys(), reverse=True)
        await self._check_rows(missing)
        for start in missing:
            day = await self._from_raw_rows(
                start, instant(start), instant(start + DAY_SPAN), self._filters
            )
            days[start] = self._cache(day, parts[start], "raw")
        return days

    async def _parts(self, coverage: Coverage) -> dict[int, Parts]:
        """The parts of each unchanged day that has rows."""
        blocks = [
            Block(0, DAY_SPAN, range(start, start + 1))
            for start in self._starts(coverage.first_hour, coverage.last_hour)
            if coverage.has(start)
        ]
        parts: dict[int, Parts] = {}
        if blocks:
            statement = statements.parts(self._query.project, blocks)
            for row in await self._snapshot.rows(statement):  # one row, because of one span
                for start, number in zip(*row[1:], strict=True):
                    parts[start] = (*parts.get(start, ()), number)
        return parts

    async def _check_rows(self, starts: Sequence[int]) -> None:
        """Raise _TooLarge where a day has too many rows to be packed here."""
        if not starts:
            return
        if await self._snapshot.rows(oversized(self._query.project, starts, self._max_rows)):
            raise _TooLarge

    async def _packed(self, parts: dict[int, Parts]) -> dict[int, Day]:
        """The days that the processor packed, where they are of exactly these parts."""
        days = {}
        starts = sorted(start for start, numbers in parts.items() if len(numbers) == 1)
        for at in range(0, len(starts), DAYS_AT_ONCE):
            statement = packed(self._query.project, starts[at : at + DAYS_AT_ONCE])
            for row in await self._snapshot.rows(statement):
                if (row.part,) == parts[row.start]:
                    day = await asyncio.to_thread(Day.decode, row.data)
                    days[row.start] = self._cache(day, (row.part,), "rollup")
        return days

    async def _changed(self, start: int) -> Day:
        """A changed day, from raw rows. It is not cached, so fewer rows will do."""
        event = [] if self._query.event.everything else [self._query.event.condition]
        conditions = [*self._filters, *event, *self._only]
        day = await self._from_raw_rows(start, *self._clipped(start), conditions)
        return self._accept(day, "raw")

    @property
    def _filters(self) -> list[Condition]:
        """All filters but `event`, which names tell: one cached day serves all events."""
        return [
            raw_events.c.project == self._query.project,
            *(where.condition for where in self._query.where),
        ]

    async def _from_raw_rows(
        self, start: int, since: datetime, until: datetime, conditions: Sequence[Condition]
    ) -> Day:
        check_progress(self._began)
        at = raw_events.c.timestamp
        inside = [*conditions, at >= since, at < until]
        statement = records(self._query.project, inside, self._by)
        rows = await self._snapshot.rows(statement, linked=False)
        if len(rows) > MAX_DAY_NAMES or is_cut(rows):
            raise _TooLarge
        groups = [
            NamedRecords((row.event_type, row.event_action, row.key), row.n, row.records or b"")
            for row in rows
        ]
        return await asyncio.to_thread(pack, start, groups)

    def _key(self, start: int) -> Hashable:
        by = self._by and self._by.text
        where = frozenset(where.text for where in self._query.where)
        return "columns", self._query.project, start, by, where

    def _cached(self, start: int, parts: Parts) -> Day | None:
        """A cached day, if it is of exactly these parts."""
        cached = self._snapshot.memory.find(self._key(start), people=False)
        if cached is None or cached.cells[:1] != (parts,):
            return None
        _, source, day = cached.cells
        return self._accept(day, source)

    def _cache(self, day: Day, parts: Parts, source: str) -> Day:
        """Cache a day, with its source: an answer says `raw` or `rollup` from the cache too."""
        entry = MemoryEntry((parts, source, day), False, day.size_bytes)
        self._snapshot.memory.keep(self._key(day.start), entry)
        return self._accept(day, source)

    def _accept(self, day: Day, source: str) -> Day:
        """Count a day towards the limit. Raises _TooLarge where that is exceeded."""
        self._size_bytes += day.size_bytes + self._stretch_bytes * len(day.stretches)
        if len(day.names) > MAX_DAY_NAMES or self._size_bytes > self._snapshot.memory.limit_bytes:
            raise _TooLarge
        self._snapshot.sources.add(source)
        return day


def packed(project: str, starts: Sequence[int]) -> Statement:
    """`start`, `part` and `data` of the days that are packed in the current format."""
    table = packed_days.c
    conditions = [
        table.project == project,
        table.start == any_(literal(list(starts), ARRAY(table.start.type))),
        func.get_byte(table.data, 0) == FORMAT,
    ]
    return select(table.start, table.part, table.data).where(*conditions)


def records(project: str, conditions: Sequence[Condition], by: Field | None) -> Statement:
    """Each name (`event_type`, `event_action`, `key`) with the number `n` of its rows.

    `records` has those rows whose actors have numbers; it is shorter than `n` rows if some do not.
    At most MAX_DAY_NAMES + 1 rows, bounded.
    """
    key = (null().cast(Text) if by is None else by.value).label("key")
    names = (raw_events.c.event_type, raw_events.c.event_action, key)
    rows = raw_events.outerjoin(people, and_(people.c.project == project, people.c.actor == ACTOR))
    gathered = func.string_agg(
        literal_column(RECORD_SQL, LargeBinary), literal(b"", LargeBinary)
    ).label("records")
    records = (
        select(*names, func.count().label("n"), gathered)
        .select_from(rows)
        .where(*conditions)
        .group_by(*names)
        .limit(MAX_DAY_NAMES + 1)
    )
    return bounded(records, [by], "key")


def oversized(project: str, starts: Sequence[int], max_rows: int) -> Statement:
    """A row for each of some days that has more rows than `max_rows`."""
    table, days = daily_metrics.c, [instant(start).date() for start in starts]
    too_many = and_(
        table.metric_name == "events",
        table.dimension_key == "",
        table.dimension_value == "",
        table.value > max_rows,
    )
    return select(table.date).where(
        table.project == project,
        too_many,
        table.date == any_(literal(days, ARRAY(table.date.type))),
    )
