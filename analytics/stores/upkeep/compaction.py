"""Compaction: deltas become rows of `rollups`, and rows of the same key become one.

No answer changes by it. A compaction only adds rows: one *part* to each hour and day that it
touches. So its cost depends on what it adds, not on what exists. FAN parts of one level are merged
into one part of the next level (a log-structured merge), so a cell is rewritten only as often as
the logarithm of the number of parts.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from analytics.derived import deltas
from analytics.derived.cells import (
    ANY,
    MAX_VALUES,
    Cells,
    RollupKey,
    Row,
    add_up,
    gather,
    pack,
    unpack,
)
from analytics.derived.deltas import Delta
from analytics.derived.instants import HOUR_SECONDS
from analytics.stores.upkeep import coverage

FAN = 8
"""So many parts of one level of an hour or a day are merged into one."""

MAX_EVENTS = 100_000
"""The most events of one compaction, so that memory and the transaction stay small."""

COLUMNS = (
    "project",
    "span",
    "start",
    "key",
    "event_type",
    "event_action",
    "part",
    "level",
    "counts",
    "people",
)

TAKE = "SELECT project, number, events, data FROM rollup_deltas ORDER BY project, number"
REMOVE = """
DELETE FROM rollup_deltas USING unnest($1::varchar[], $2::bigint[]) AS taken (p, n)
WHERE project = p AND number = n
"""

CROWDED = f"""
SELECT project, span, start, level, array_agg(part) AS parts
FROM rollups
JOIN unnest($1::varchar[], $2::smallint[], $3::int[]) AS touched (project, span, start)
    USING (project, span, start)
WHERE key = '' AND event_type = '' AND event_action = ''
GROUP BY project, span, start, level HAVING count(*) >= {FAN}
ORDER BY project, span, start, level
"""  # noqa: S608 - only our own constants
"""Every part has one row of all events without a dimension; counting these counts the parts."""

ENDED = f"""
SELECT project, span, start, max(level) AS level, array_agg(part) AS parts
FROM rollups WHERE key = '' AND event_type = '' AND event_action = ''
GROUP BY project, span, start
HAVING count(*) > 1 AND start + span < extract(epoch FROM now()) / {HOUR_SECONDS} - 1
ORDER BY project, span, start LIMIT 500
"""  # noqa: S608 - only our own constants
"""Hours and days that ended more than an hour ago and have more than one part."""

PARTS = """
SELECT key, event_type, event_action, counts, people FROM rollups
WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)
"""

REMOVE_PARTS = (
    "DELETE FROM rollups WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)"
)


class Bucket(NamedTuple):
    """An hour or a day of a project."""

    project: str
    span: int
    start: int


async def compact(connection: asyncpg.Connection) -> int:
    """Compact waiting deltas in one transaction; returns how many events they count.

    The caller holds the lock COMPACTION.
    """
    async with connection.transaction():
        taken = await _take(connection)
        if not taken:
            return 0
        touched: list[Bucket] = []
        for project, rows in _by_project(taken).items():
            floor = await coverage.since(connection, project)
            waiting = [deltas.unpack(row["data"]) for row in rows]
            packed = await asyncio.to_thread(_pack, waiting, floor)
            await write(connection, project, packed, level=0)
            touched += {Bucket(project, key.span, key.start) for key in packed}
        projects, numbers = [row["project"] for row in taken], [row["number"] for row in taken]
        await connection.execute(REMOVE, projects, numbers)
        await _merge_crowded(connection, touched)
    return sum(row["events"] for row in taken)


async def _take(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """The oldest deltas, up to MAX_EVENTS or a single larger one."""
    taken, events = [], 0
    async for row in connection.cursor(TAKE, prefetch=200):
        taken.append(row)
        events += row["events"]
        if events >= MAX_EVENTS:
            break
    return taken


def _by_project(taken: Iterable[asyncpg.Record]) -> Mapping[str, list[asyncpg.Record]]:
    projects: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in taken:
        projects[row["project"]].append(row)
    return projects


def _pack(waiting: Sequence[Delta], floor: int) -> dict[RollupKey, Row]:
    """The rows of deltas, without those before `floor`, which are no longer complete."""
    return pack_all({key: cells for key, cells in gather(waiting).items() if key.start >= floor})


def pack_all(cells: Cells) -> dict[RollupKey, Row]:
    """Cells → rows."""
    return {key: pack(values) for key, values in cells.items()}


async def write(
    connection: asyncpg.Connection, project: str, rows: Mapping[RollupKey, Row], *, level: int
) -> None:
    """Add rows as one part of their hours and days.

    A part never changes. Its number is random, so no other part ever has it, not even after a
    restore: questions cache what they read of a part under its number.
    """
    part = secrets.randbits(63)
    records = [(project, *key, part, level, *row) for key, row in sorted(rows.items())]
    await connection.copy_records_to_table("rollups", columns=COLUMNS, records=records)


async def _merge_crowded(connection: asyncpg.Connection, touched: Sequence[Bucket]) -> None:
    """Merge until no touched hour or day has FAN parts of one level."""
    while touched:
        crowded = await connection.fetch(CROWDED, *map(list, zip(*touched, strict=True)))
        touched = [await _merge(connection, row) for row in crowded]


async def merge_ended(connection: asyncpg.Connection) -> bool:
    """Merge some of the hours and days that are over into one part each.

    Returns whether there may be more. The caller holds the lock COMPACTION.
    """
    async with connection.transaction():
        rows = await connection.fetch(ENDED)
        for row in rows:
            await _merge(connection, row)
    return bool(rows)


async def _merge(connection: asyncpg.Connection, crowded: asyncpg.Record) -> Bucket:
    """Replace several parts of an hour or day by one of the next level."""
    bucket = Bucket(crowded["project"], crowded["span"], crowded["start"])
    parts = crowded["parts"]
    rows = await connection.fetch(PARTS, *bucket, parts)
    merged = await asyncio.to_thread(_sum, bucket, rows)
    await connection.execute(REMOVE_PARTS, *bucket, parts)
    await write(connection, bucket.project, merged, level=crowded["level"] + 1)
    return bucket


def _sum(bucket: Bucket, rows: Iterable[asyncpg.Record]) -> dict[RollupKey, Row]:
    """The rows of several parts, one row for each key."""
    addends: defaultdict[RollupKey, list[Row]] = defaultdict(list)
    for dimension, event_type, event_action, *row in rows:
        key = RollupKey(bucket.span, bucket.start, dimension, event_type, event_action)
        addends[key].append(Row(*row))
    merged = {}
    for key, each in addends.items():
        if len(each) == 1:
            merged[key] = each[0]
        elif len(cells := add_up(map(unpack, each))) <= MAX_VALUES or key.key == ANY:
            merged[key] = pack(cells)
    return merged
