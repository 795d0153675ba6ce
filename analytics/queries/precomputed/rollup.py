"""Rollup: what of a question's counts and people is precomputed, read in the question's snapshot,
as exact as raw rows.

buckets = await Rollup(read).buckets(asked, edges)        # None: only raw rows can say
len(buckets[3][None].people)                              # people of the fourth bucket; by a field,
one sum for each value

Whole hours and UTC days come from `rollups` (what was read of them before, from memory), what is
not compacted yet from its deltas, and the rest of a bucket (parts of hours, days that rollups do
not cover) from raw rows, so that any edges in any time zone will do.
"""

import asyncio
import math
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from pyroaring import BitMap

from analytics.derived import deltas
from analytics.derived.cells import unpack_counts, unpack_people
from analytics.derived.deltas import UNCOUNTED, Delta
from analytics.derived.instants import BEGINNING, DAY_SPAN, instant
from analytics.queries.database.memory import OVERHEAD_BYTES, Entry, Name
from analytics.queries.database.snapshot import Snapshot, check_progress
from analytics.queries.database.sums import Bucket, Sum, Sums
from analytics.queries.language.fields import By
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import addends as sql
from analytics.queries.precomputed import settled_days
from analytics.queries.precomputed.figures import Figure, Groups, Of, added_up
from analytics.queries.precomputed.figures import read as read_figure
from analytics.queries.precomputed.pieces import EVER, Coverage, Pieces, Unit
from analytics.queries.precomputed.plan import Plan, plan, plan_of_raw_rows

MAX_WAITING = 60_000
"""Events in deltas up to which a question reads them; with more, compaction is behind and raw rows
are quicker.
"""

_STRANGER = 2**32 - 1


class Rollup:
    """The rollups of one snapshot. People who have no number yet get one here, which holds as long
    as this object does.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._began = time.monotonic()
        self._coverage: dict[str, Coverage | None] = {}
        self._waiting: dict[str, list[Delta]] = {}
        self._strangers: dict[str, int] = {}

    async def buckets(
        self,
        query: FilteredQuery,
        edges: Sequence[datetime],
        by: By | None = None,
        *,
        people: bool = True,
    ) -> list[Bucket] | None:
        """What is between each two edges, of the events that pass the question's filters (its range
        is not looked at), in groups by a field.

        The first edge may be EVER. None where rollups do not cover the question, or too little of
        it. Without `people`, only counts can be looked at, which is quicker.
        """
        for plan_ in filter(None, (plan(query, by), plan_of_raw_rows(query, by))):
            if (found := await self._buckets(query, edges, by, plan_, people)) is not None:
                return found
        return None

    async def figures(
        self, query: FilteredQuery, edges: Sequence[datetime], by: By | None, of: Of
    ) -> list[Groups] | None:
        """What the numbers in a field are between each two edges; None where only raw rows can say."""
        plan_ = plan_of_raw_rows(query, by, of)
        pieces = await self._pieces(query.project, edges, plan_) if plan_ else None
        if (
            plan_ is None
            or pieces is None
            or (cells := await self._cells(query, pieces.units, plan_, people=False)) is None
        ):
            return None
        rows = (
            await self._snapshot.rows(sql.raw_numbers(query, pieces.edges, pieces.raw, by, of))
            if pieces.raw
            else []
        )
        return await asyncio.to_thread(_figures, len(edges) - 1, cells, rows, of)

    async def _pieces(self, project: str, edges: Sequence[datetime], plan_: Plan) -> Pieces | None:
        """The buckets, cut; None where too little of them can come from anywhere but raw rows."""
        coverage = await self.covered(project, edges[0] == EVER)
        if coverage is None or coverage.waiting > MAX_WAITING:
            return None
        edges = [*edges[:-1], await self._rounded(project, edges[-1], coverage)]
        if plan_.raw:
            coverage = settled_days.without(
                coverage, await self.waiting(project) if coverage.waiting else []
            )
            self._snapshot.sources.add("raw")
        pieces = Pieces(edges, coverage)
        return None if pieces.mostly_raw else pieces

    async def _buckets(
        self,
        query: FilteredQuery,
        edges: Sequence[datetime],
        by: By | None,
        plan_: Plan,
        people: bool,
    ) -> list[Bucket] | None:
        pieces = await self._pieces(query.project, edges, plan_)
        if pieces is None:
            return None
        cells = await self._cells(query, pieces.units, plan_, people)
        waiting = (
            await self.waiting(query.project) if pieces.coverage.waiting and not plan_.raw else []
        )
        sums = Sums(len(edges) - 1, self._snapshot.links)
        if cells is None or not all(
            _add_delta(sums, pieces, plan_, delta, people) for delta in waiting
        ):
            return None
        if pieces.raw:
            self._add_raw(
                sums,
                await self._snapshot.rows(sql.raw(query, pieces.edges, pieces.raw, by, people)),
            )
        return await asyncio.to_thread(_added_up, sums, cells, plan_, people)

    async def covered(self, project: str, ever: bool) -> Coverage | None:
        if project not in self._coverage:
            row = next(iter(await self._snapshot.rows(sql.coverage(project))), None)
            found = None if row is None or row.since is None else row
            self._coverage[project] = found and Coverage(
                found.since,
                frozenset(found.strays),
                found.waiting,
                found.first or 0,
                found.last or 0,
            )
        coverage = self._coverage[project]
        if ever and coverage and coverage.earliest is None and coverage.since > BEGINNING:
            begin = instant(coverage.since)
            found = (await self._snapshot.rows(sql.earliest(project, begin)))[0].earliest
            self._coverage[project] = coverage = msgspec.structs.replace(
                coverage, earliest=found or begin
            )
        return coverage

    async def _rounded(self, project: str, end: datetime, coverage: Coverage) -> datetime:
        """The end, or that of its hour if nothing happened between the two, as when the end is now:
        then rollups have that hour too.
        """
        hour = end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if hour == end or hour >= instant(coverage.last + DAY_SPAN):
            return end
        whole = hour + timedelta(hours=1)
        return end if await self._snapshot.rows(sql.anything(project, end, whole)) else whole

    async def waiting(self, project: str) -> list[Delta]:
        if project not in self._waiting:
            self._waiting[project] = [
                deltas.unpack(row.data) for row in await self._snapshot.rows(sql.waiting(project))
            ]
        return self._waiting[project]

    async def _cells(
        self, query: FilteredQuery, units: Sequence[Unit], plan_: Plan, people: bool
    ) -> list[tuple[int, Any]] | None:
        """The cells of each unit with its bucket, from memory or else from the database; None if
        they do not tell all, or would be too many to hold.
        """
        memory, project = self._snapshot.memory, query.project
        limit = memory.limit if plan_.of else math.inf
        keys = (
            _keys(project, units, plan_, await self._snapshot.rows(sql.parts(project, units)))
            if units
            else {}
        )
        found = {
            unit: kept for unit, key in keys.items() if (kept := memory.find(key, people=people))
        }
        missing = [unit for unit in keys if unit not in found]
        for run in settled_days.runs(missing) if plan_.raw else [missing] if missing else []:
            if not _all_told(found.values(), limit):
                return None
            for unit, kept in (
                await (self._counted if plan_.raw else self._read_rows)(query, run, plan_, people)
            ).items():
                found[unit] = kept
                memory.keep(keys[unit], kept)
        return (
            [(unit.bucket, kept.cells) for unit, kept in found.items()]
            if _all_told(found.values(), limit)
            else None
        )

    async def _read_rows(
        self, query: FilteredQuery, units: Sequence[Unit], plan_: Plan, people: bool
    ) -> dict[Unit, Entry]:
        """The cells of units from `rollups`."""
        rows = await self._snapshot.rows(sql.rows(query.project, units, plan_, people))
        return await asyncio.to_thread(_read_cells, units, plan_, rows, people)

    async def _counted(
        self, query: FilteredQuery, units: Sequence[Unit], plan_: Plan, people: bool
    ) -> dict[Unit, Entry]:
        """The cells of units that follow each other from raw rows. Raises Unavailable once it has
        taken too long; what is known by then stays known.
        """
        check_progress(self._began)
        if plan_.of:
            rows = await self._snapshot.rows(
                settled_days.numbers_of(query, units, plan_.by, plan_.of), linked=False
            )
            return await asyncio.to_thread(settled_days.cells_of_numbers, units, rows, plan_.of)
        rows = await self._snapshot.rows(
            settled_days.counts(query, units, plan_.by, people), linked=False
        )  # who is whom may change, what is remembered may not
        return await asyncio.to_thread(settled_days.cells, units, rows, people)

    def _add_raw(self, sums: Sums, rows: Iterable[Any]) -> None:
        for bucket, group, count, numbers, strangers in rows:
            found = [
                self._strangers.setdefault(stranger, _STRANGER - len(self._strangers))
                for stranger in strangers or ()
            ]
            sums.add(bucket - 1, group, Sum(count, BitMap([*(numbers or ()), *found])))


def _all_told(kept: Collection[Entry], limit: float) -> bool:
    """Whether no cells are lacking, and all may be held at once."""
    return (
        all(each.cells is not None for each in kept) and sum(each.bytes for each in kept) <= limit
    )


def _keys(
    project: str, units: Sequence[Unit], plan_: Plan, rows: Iterable[Any]
) -> dict[Unit, Hashable]:
    """What tells the cells of each unit that has any from all others, at any time: which parts they
    are from, and what of these.
    """
    found = {span: (starts, parts) for span, starts, parts in rows}
    keys: dict[Unit, Hashable] = {}
    for unit in units:
        starts, parts = found.get(unit.span, ((), ()))
        begin, end = bisect_left(starts, unit.starts.start), bisect_left(starts, unit.starts.stop)
        if begin < end:
            keys[unit] = (
                project,
                unit.span,
                tuple(starts[begin:end]),
                tuple(parts[begin:end]),
                plan_.name,
            )
    return keys


def _read_cells(
    units: Sequence[Unit], plan_: Plan, rows: Iterable[Any], people: bool
) -> dict[Unit, Entry]:
    """The cells of units from rows of `rollups`."""
    readings = {unit: _Reading(plan_, people) for unit in units}
    reading_of = {(unit.span, start): readings[unit] for unit in units for start in unit.starts}
    for span, start, *row in rows:
        reading_of[span, start].add(*row)
    return {unit: reading.kept() for unit, reading in readings.items()}


class _Reading:
    """The rows of a unit, as they are read.

    A dimension is complete where its counts add up to those without one: each event has one value
    of it, or none.
    """

    def __init__(self, plan_: Plan, people: bool) -> None:
        self._plan = plan_
        self._people = people
        self._counts: defaultdict[Name, int] = defaultdict(int)
        self._bitmaps: defaultdict[Name, list[bytes]] = defaultdict(list)
        self._lacking = 0
        self._size = OVERHEAD_BYTES

    def add(
        self, key: str, type_: str, action: str, packed_counts: bytes, packed_people: bytes | None
    ) -> None:
        values, counts = unpack_counts(packed_counts)
        if self._plan.key:
            self._lacking += -sum(counts) if key == self._plan.key else sum(counts)
        if key != self._plan.key:
            return
        for value, count in zip(values, counts, strict=True):
            self._counts[type_, action, value] += count
        if self._people and packed_people is not None:
            for value, bitmap in zip(values, unpack_people(packed_people), strict=True):
                self._bitmaps[type_, action, value].append(bitmap)
            self._size += len(packed_people)

    def kept(self) -> Entry:
        if self._lacking:
            return Entry(None, True, OVERHEAD_BYTES)
        size = self._size + OVERHEAD_BYTES * len(self._counts)
        return Entry(
            {name: Sum(count, self._bitmaps.get(name, ())) for name, count in self._counts.items()},
            self._people,
            size,
        )


def _figures(
    buckets: int, cells: Iterable[tuple[int, dict[Name, Figure]]], rows: Iterable[Any], of: Of
) -> list[Groups] | None:
    """What cells and raw rows say together; None if there are too many numbers in the latter."""
    found: list[list[tuple[str | None, Figure]]] = [[] for _ in range(buckets)]
    for bucket, figures in cells:
        found[bucket] += [(value, figure) for (_, _, value), figure in figures.items()]
    for bucket, group, *values in rows:
        figure = read_figure(of, *values)
        if figure is None:
            return None
        found[bucket - 1].append((group, figure))
    return added_up(found)


def _added_up(
    sums: Sums, cells: Iterable[tuple[int, dict[Name, Sum]]], plan_: Plan, people: bool
) -> list[Bucket]:
    """The buckets, with the cells whose values pass."""
    for bucket, found in cells:
        for (type_, action, value), sum_ in found.items():
            if plan_.passes(value):
                sums.add(bucket, plan_.group(type_, action, value), sum_)
    return sums.buckets(people=people)


def _add_delta(sums: Sums, pieces: Pieces, plan_: Plan, delta: Delta, people: bool) -> bool:
    """Whether the dimension was complete."""
    at = delta.keys.index(plan_.key) if plan_.key in delta.keys else None
    for group in delta.groups:
        bucket = pieces.bucket(group.hour)
        if bucket is None or not plan_.is_event(group.event_type, group.event_action):
            continue
        people_of: dict[str | None, list[int]] = {None: group.people}
        if plan_.key:
            places = {UNCOUNTED: group.people} if at is None else group.people_of(at)
            if UNCOUNTED in places:
                return False
            people_of = {delta.values[place]: found for place, found in places.items()}
        for value, found in people_of.items():
            if plan_.passes(value):
                sums.add(
                    bucket,
                    plan_.group(group.event_type, group.event_action, value),
                    Sum(len(found), BitMap(found if people else ())),
                )
    return True
