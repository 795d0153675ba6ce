"""Compaction: deltas become rows of `rollups`. No answer changes by it.

A compaction only adds rows: one *part* to each hour and day that it touches. So its cost depends on
what it adds, not on what exists; `parts.py` merges the parts.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from analytics.derived import deltas
from analytics.derived.cells import (
    RollupKey,
    Row,
    gather,
    nameless_days,
)
from analytics.derived.deltas import Delta
from analytics.stores.upkeep import coverage, merger, parts

MAX_EVENTS = 100_000
"""The most events of one compaction."""

MAX_CELLS = 50_000
"""The most cells of one transaction, or those of a single larger delta: some 100 MB.

Events of few names, hours and values never come near it.
"""

TAKEN_AT_ONCE = 20
"""Deltas that are read at a time."""

TAKE = "SELECT project, number, events, data FROM rollup_deltas ORDER BY project, number"
REMOVE = """
DELETE FROM rollup_deltas USING unnest($1::varchar[], $2::bigint[]) AS taken (p, n)
WHERE project = p AND number = n
"""


class Taken(NamedTuple):
    """A waiting delta, as it stands in the table and unpacked."""

    project: str
    number: int
    events: int
    delta: Delta


async def compact(connection: asyncpg.Connection) -> int:
    """Compact waiting deltas, some of them in each transaction; returns how many events they count.

    The caller holds the lock COMPACTION.
    """
    events = 0
    while events < MAX_EVENTS and (more := await _compact_some(connection, MAX_EVENTS - events)):
        events += more
    return events


async def _compact_some(connection: asyncpg.Connection, most: int) -> int:
    """Compact waiting deltas of at most so many events, or a single larger one."""
    async with connection.transaction():
        taken = await _take(connection, most)
        if not taken:
            return 0
        touched: list[parts.Bucket] = []
        for project, waiting in _by_project(taken).items():
            floor = await coverage.since(connection, project)
            nameless = await coverage.nameless(connection, project)
            for day in nameless_days(waiting) - nameless:
                await coverage.make_nameless(connection, project, day)
                nameless.add(day)
            packed = await asyncio.to_thread(_pack, waiting, floor, nameless)
            await parts.write(connection, project, packed, level=0)
            touched += {parts.Bucket(project, key.span, key.start) for key in packed}
        projects, numbers = [each.project for each in taken], [each.number for each in taken]
        await connection.execute(REMOVE, projects, numbers)
        await merger.merge_crowded(connection, touched)
    return sum(each.events for each in taken)


async def _take(connection: asyncpg.Connection, most: int) -> list[Taken]:
    """The oldest deltas, up to so many events, up to MAX_CELLS, or a single larger one."""
    taken: list[Taken] = []
    events = cells = 0
    async for project, number, count, data in connection.cursor(TAKE, prefetch=TAKEN_AT_ONCE):
        delta = deltas.unpack(data)
        cells += deltas.count_cells(delta)
        if taken and cells > MAX_CELLS:
            break
        taken.append(Taken(project, number, count, delta))
        events += count
        if events >= most:
            break
    return taken


def _by_project(taken: Iterable[Taken]) -> Mapping[str, list[Delta]]:
    projects: defaultdict[str, list[Delta]] = defaultdict(list)
    for each in taken:
        projects[each.project].append(each.delta)
    return projects


def _pack(waiting: Sequence[Delta], floor: int, nameless: Collection[int]) -> dict[RollupKey, Row]:
    """The rows of deltas, without those before `floor`, which are no longer complete."""
    gathered = gather(waiting, nameless)
    return parts.pack_all({key: cells for key, cells in gathered.items() if key.start >= floor})
