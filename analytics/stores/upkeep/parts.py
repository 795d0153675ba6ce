"""Parts of `rollups`: rows of an hour or a day that were written together, and are merged.

FAN parts of one level are merged into one part of the next level (a log-structured merge), so a
cell is rewritten only as often as the logarithm of the number of parts. No answer changes by it.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from analytics.derived.cells import (
    ANY,
    MAX_NAMES,
    MAX_VALUES,
    Cells,
    RollupKey,
    Row,
    add_up,
    pack,
    unpack,
)
from analytics.derived.instants import DAY_SPAN, HOUR_SECONDS
from analytics.stores.upkeep import coverage

FAN = 8
"""So many parts of one level of an hour or a day are merged into one."""

READ_AT_ONCE = 200
MERGED_BYTES = 4 * 1024 * 1024
"""Rows that are read at a time, and the bytes of those that are merged at a time."""

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
ORDER BY key, event_type, event_action
"""

NAMES = """
SELECT count(DISTINCT (event_type, event_action)) FROM rollups
WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)
    AND key = '' AND event_type <> '' AND event_action <> ''
"""

REMOVE_PARTS = (
    "DELETE FROM rollups WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)"
)


class Bucket(NamedTuple):
    """An hour or a day of a project."""

    project: str
    span: int
    start: int


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
    await _copy(connection, project, rows, _new_part(), level)


def _new_part() -> int:
    return secrets.randbits(63)


async def _copy(
    connection: asyncpg.Connection,
    project: str,
    rows: Mapping[RollupKey, Row],
    part: int,
    level: int,
) -> None:
    records = [(project, *key, part, level, *row) for key, row in sorted(rows.items())]
    await connection.copy_records_to_table("rollups", columns=COLUMNS, records=records)


async def merge_crowded(connection: asyncpg.Connection, touched: Sequence[Bucket]) -> None:
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
    """Replace several parts of an hour or day by one of the next level, a few rows at a time."""
    bucket = Bucket(crowded["project"], crowded["span"], crowded["start"])
    parts, part, level = crowded["parts"], _new_part(), crowded["level"] + 1
    if bucket.span == DAY_SPAN and await connection.fetchval(NAMES, *bucket, parts) > MAX_NAMES:
        await coverage.make_nameless(connection, bucket.project, bucket.start)
    rows = connection.cursor(PARTS, *bucket, parts, prefetch=READ_AT_ONCE)
    async for some in _whole_keys(rows):
        merged = await asyncio.to_thread(_sum, bucket, some)
        await _copy(connection, bucket.project, merged, part, level)
    await connection.execute(REMOVE_PARTS, *bucket, parts)
    return bucket


async def _whole_keys(rows: AsyncIterable[asyncpg.Record]) -> AsyncIterator[list[asyncpg.Record]]:
    """Rows in groups of about MERGED_BYTES; rows of one key are neighbours, and stay together."""
    some: list[asyncpg.Record] = []
    size_bytes = 0
    async for row in rows:
        if size_bytes >= MERGED_BYTES and row[:3] != some[-1][:3]:
            yield some
            some, size_bytes = [], 0
        some.append(row)
        size_bytes += len(row["counts"]) + len(row["people"])
    if some:
        yield some


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
