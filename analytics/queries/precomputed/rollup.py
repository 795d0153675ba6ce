"""Answers a query from rollups and cached counts, in its snapshot, as exactly as from raw rows.

    buckets = await Rollup(snapshot).buckets(query, edges)  # None: only raw rows can answer
    len(buckets[3][None].people)                            # people of the fourth bucket

Edges may lie anywhere, in any time zone: whole hours and UTC days of a bucket come from `rollups`
(or from the cache), what compaction has not moved there yet from deltas, and the rest from raw
rows: parts of hours, and days that rollups do not cover.
"""

import asyncio
import math
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace
from pyroaring import BitMap

from analytics.derived import deltas
from analytics.derived.deltas import UNCOUNTED, Delta
from analytics.derived.instants import BEGINNING, DAY_SPAN, instant
from analytics.queries.database.memory import MemoryEntry
from analytics.queries.database.snapshot import Snapshot, check_progress
from analytics.queries.database.sums import Bucket, Sum, Sums
from analytics.queries.language.fields import By
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import statements, summaries, unchanged_days
from analytics.queries.precomputed.cell_reader import CellReader, cache_keys
from analytics.queries.precomputed.pieces import FIRST_EVENT, Block, Coverage, Pieces
from analytics.queries.precomputed.plan import Plan, raw_plan, rollup_plan
from analytics.queries.precomputed.summaries import NumberSpec, Summary, SummaryByGroup

MAX_PENDING_EVENTS = 60_000
"""Events in deltas up to which a query reads them. With more, raw rows are quicker."""

NOT_USABLE = MemoryEntry(None, True, 0)
"""In place of cells that are too many to be read at once; of fewer blocks they may be read."""

_LAST_NUMBER = 2**32 - 1

_BucketCells = Sequence[tuple[int, Any]]
"""The cells of blocks, each with its bucket."""


class Rollup:
    """The rollups of one snapshot.

    Actors without a number get one here, from the highest down; it holds for this object's life.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._began = time.monotonic()
        self._coverage: dict[str, Coverage | None] = {}
        self._deltas: dict[str, list[Delta]] = {}
        self._temporary_numbers: dict[str, int] = {}

    async def buckets(
        self,
        query: FilteredQuery,
        edges: Sequence[datetime],
        by: By | None = None,
        *,
        people: bool = True,
    ) -> list[Bucket] | None:
        """Counts and people between each two edges, by group, of events that pass the filters.

        The query's own range is ignored. The first edge may be FIRST_EVENT. Without `people` only
        counts may be read from the result, which is quicker. None where rollups do not cover the
        query, or too little of it. Raises Unavailable once it has taken too long.
        """
        for plan in filter(None, (rollup_plan(query, by), raw_plan(query, by))):
            pieces = await self._pieces(query.project, edges, plan)
            if pieces is None:
                continue
            cells = await self._cells(query, pieces.blocks, plan, people)
            # A plan of raw rows has taken days with deltas out of the blocks already.
            add_deltas = pieces.coverage.pending_events and not plan.raw
            pending = await self.pending_deltas(query.project) if add_deltas else []
            sums = Sums(len(edges) - 1, self._snapshot.links)
            if cells is None:
                continue
            if not all(_add_delta(sums, pieces, plan, delta, people) for delta in pending):
                continue
            if pieces.raw_ranges:
                ranges = pieces.raw_ranges
                statement = statements.raw_counts(query, pieces.edges, ranges, by, people)
                rows = await self._snapshot.rows(statement)
                if statements.some_missing(rows):
                    return None
                await asyncio.to_thread(self._add_raw, sums, rows)
            return await asyncio.to_thread(_added_up, sums, cells, plan, people)
        return None

    async def summaries(
        self,
        query: FilteredQuery,
        edges: Sequence[datetime],
        by: By | None,
        numbers: NumberSpec,
    ) -> list[SummaryByGroup] | None:
        """Summaries of numbers between each two edges, by group; None as for `buckets`."""
        plan = raw_plan(query, by, numbers)
        pieces = await self._pieces(query.project, edges, plan) if plan else None
        if plan is None or pieces is None:
            return None
        cells = await self._cells(query, pieces.blocks, plan, people=False)
        if cells is None:
            return None
        rows: Sequence[Any] = ()
        if pieces.raw_ranges:
            rows = await self._snapshot.rows(
                statements.raw_summaries(query, pieces.edges, pieces.raw_ranges, by, numbers)
            )
            if statements.some_missing(rows):
                return None
        return await asyncio.to_thread(_summaries, len(edges) - 1, cells, rows, numbers)

    async def _pieces(self, project: str, edges: Sequence[datetime], plan: Plan) -> Pieces | None:
        """The buckets cut into pieces; None where too many of them are ranges of raw rows."""
        coverage = await self.coverage(project, from_first_event=edges[0] == FIRST_EVENT)
        if coverage is None or coverage.pending_events > MAX_PENDING_EVENTS:
            return None
        if plan.named:
            coverage = replace(coverage, strays=coverage.strays | coverage.nameless)
        edges = [*edges[:-1], await self._whole_hour(project, edges[-1], coverage)]
        if plan.raw:
            pending = await self.pending_deltas(project) if coverage.pending_events else []
            coverage = unchanged_days.without_pending(coverage, pending)
            self._snapshot.sources.add("raw")
        pieces = Pieces(edges, coverage)
        return None if pieces.mostly_raw else pieces

    async def coverage(self, project: str, *, from_first_event: bool = False) -> Coverage | None:
        """What rollups cover of a project; None if they cover nothing.

        `earliest` is looked up if a bucket starts at the first event and rollups begin later.
        """
        if project not in self._coverage:
            row = next(iter(await self._snapshot.rows(statements.coverage(project))), None)
            self._coverage[project] = (
                None
                if row is None or row.since is None
                else Coverage(
                    row.since,
                    frozenset(row.strays),
                    row.waiting,
                    row.first or 0,
                    row.last or 0,
                    frozenset(row.nameless),
                )
            )
        coverage = self._coverage[project]
        if coverage is None or not from_first_event:
            return coverage
        if coverage.earliest is None and coverage.since_hour > BEGINNING:
            since = instant(coverage.since_hour)
            (row,) = await self._snapshot.rows(statements.earliest(project, since))
            self._coverage[project] = coverage = replace(coverage, earliest=row.earliest or since)
        return coverage

    async def _whole_hour(self, project: str, end: datetime, coverage: Coverage) -> datetime:
        """The end of the hour that `end` is in, if no event is between the two; else `end`.

        So a range that ends now needs no raw rows for its last hour.
        """
        hour = end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if hour == end or hour >= instant(coverage.last_hour + DAY_SPAN):
            return end
        next_hour = hour + timedelta(hours=1)
        later = await self._snapshot.rows(statements.any_row(project, end, next_hour))
        return end if later else next_hour

    async def pending_deltas(self, project: str) -> list[Delta]:
        """What compaction has not moved into rollups yet; read once."""
        if project not in self._deltas:
            rows = await self._snapshot.rows(statements.pending_deltas(project))
            self._deltas[project] = [deltas.unpack(row.data) for row in rows]
        return self._deltas[project]

    async def _cells(
        self, query: FilteredQuery, blocks: Sequence[Block], plan: Plan, people: bool
    ) -> list[tuple[int, Any]] | None:
        """The cells of each block with its bucket, from the cache or else from the database.

        None if a dimension is incomplete, or if they are more than the cache may hold.
        """
        memory, project = self._snapshot.memory, query.project
        limit = memory.limit_bytes if plan.raw else math.inf
        parts = await self._snapshot.rows(statements.parts(project, blocks)) if blocks else ()
        keys = cache_keys(project, blocks, plan, parts)
        cells: dict[Block, MemoryEntry] = {}
        for block, key in keys.items():
            if cached := memory.find(key, people=people):
                cells[block] = cached
        missing = [block for block in keys if block not in cells]
        for run in unchanged_days.runs(missing) if plan.raw else [missing] if missing else []:
            if not _usable(cells.values(), limit):
                return None
            read = self._count_raw if plan.raw else self._read_rollups
            for block, fresh in (await read(query, run, plan, people)).items():
                cells[block] = fresh
                if fresh is not NOT_USABLE:
                    memory.keep(keys[block], fresh)
        if not _usable(cells.values(), limit):
            return None
        return [(block.bucket, each.cells) for block, each in cells.items()]

    async def _read_rollups(
        self, query: FilteredQuery, blocks: Sequence[Block], plan: Plan, people: bool
    ) -> dict[Block, MemoryEntry]:
        """The cells of blocks from `rollups`."""
        reader = CellReader(blocks, plan, people)
        statement = statements.rollup_rows(query.project, blocks, plan, people)
        rows = await self._snapshot.rows(statement)
        if len(rows) > statements.MAX_ROWS:
            return dict.fromkeys(blocks, NOT_USABLE)
        await asyncio.to_thread(reader.add, rows)
        if parts := reader.sparse_parts():
            statement = statements.stand_ins(query.project, blocks, plan, parts, people)
            rows = await self._snapshot.rows(statement)
            if len(rows) > statements.MAX_ROWS:
                return dict.fromkeys(blocks, NOT_USABLE)
            await asyncio.to_thread(reader.fill_in, rows)
        return await asyncio.to_thread(reader.cells)

    async def _count_raw(
        self, query: FilteredQuery, blocks: Sequence[Block], plan: Plan, people: bool
    ) -> dict[Block, MemoryEntry]:
        """The cells of a run of blocks, counted from raw rows.

        Actors are not replaced by persons: who is one person may change, cached cells may not.
        Raises Unavailable once the question has taken too long; what is read stays cached.
        """
        check_progress(self._began)
        if plan.numbers:
            statement = unchanged_days.number_summaries(query, blocks, plan.by, plan.numbers)
            rows = await self._snapshot.rows(statement, linked=False)
            return await asyncio.to_thread(unchanged_days.summary_cells, blocks, rows, plan.numbers)
        statement = unchanged_days.counts(query, blocks, plan.by, people)
        rows = await self._snapshot.rows(statement, linked=False)
        return await asyncio.to_thread(unchanged_days.count_cells, blocks, rows, people)

    def _add_raw(self, sums: Sums, rows: Iterable[Any]) -> None:
        """Add rows of `statements.raw_counts`."""
        temporary = self._temporary_numbers
        for bucket, group, count, numbers, unnumbered, *_ in rows:
            people = BitMap(numbers or ())
            for actor in unnumbered or ():
                people.add(temporary.setdefault(actor, _LAST_NUMBER - len(temporary)))
            sums.add(bucket - 1, group, Sum(count, people))


def _usable(cells: Collection[MemoryEntry], limit_bytes: float) -> bool:
    """Whether all cells are there, and small enough to be held at once."""
    complete = all(each.cells is not None for each in cells)
    return complete and sum(each.size_bytes for each in cells) <= limit_bytes


def _summaries(
    buckets: int,
    cells: _BucketCells,
    rows: Iterable[Any],
    numbers: NumberSpec,
) -> list[SummaryByGroup] | None:
    """What cells and raw rows say together; None if there are too many numbers in the rows."""
    parts: list[list[tuple[str | None, Summary]]] = [[] for _ in range(buckets)]
    for bucket, by_name in cells:
        parts[bucket] += [(value, summary) for (_, _, value), summary in by_name.items()]
    for bucket, group, *values in rows:
        summary = summaries.read(numbers, *values)
        if summary is None:
            return None
        parts[bucket - 1].append((group, summary))
    return summaries.combined_by_group(parts)


def _added_up(sums: Sums, cells: _BucketCells, plan: Plan, people: bool) -> list[Bucket]:
    """The buckets, with the cells whose values pass the filters."""
    for bucket, by_name in cells:
        for (type_, action, value), sum_ in by_name.items():
            if plan.passes(value):
                sums.add(bucket, plan.group(type_, action, value), sum_)
    return sums.buckets(people=people)


def _add_delta(sums: Sums, pieces: Pieces, plan: Plan, delta: Delta, people: bool) -> bool:
    """Add one delta; False if the delta does not have every value of the dimension."""
    dimension = delta.keys.index(plan.key) if plan.key in delta.keys else None
    for group in delta.groups:
        bucket = pieces.bucket_of(group.hour)
        if bucket is None or not plan.is_event(group.event_type, group.event_action):
            continue
        people_of: dict[str | None, list[int]] = {None: group.people}
        if plan.key:
            if dimension is None:
                return False
            places = group.people_of(dimension)
            if UNCOUNTED in places:
                return False
            people_of = {delta.values[place]: numbers for place, numbers in places.items()}
        for value, numbers in people_of.items():
            if plan.passes(value):
                name = plan.group(group.event_type, group.event_action, value)
                sums.add(bucket, name, Sum(len(numbers), BitMap(numbers if people else ())))
    return True
