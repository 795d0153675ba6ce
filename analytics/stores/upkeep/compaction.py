"""Compaction: deltas become rows of `rollups`, and rows about the same become one, without a change
to any answer.

A compaction only adds rows, a *part* of each hour and day that it touches, so that it costs what it
adds and not what is there. Eight parts of one level make a part of the next (a log-structured
merge): a cell is rewritten as often as the logarithm of its parts says.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from analytics.derived import deltas
from analytics.derived.cells import ANY, MAX_VALUES, Cells, Place, Row, add_up, gather, pack, unpack
from analytics.derived.deltas import Delta
from analytics.stores.upkeep import coverage

FAN = 8
"""Parts of one level that an hour or a day may have."""

MOST_EVENTS = 100_000
"""Taken up by one compaction at most, so that memory and the transaction stay small whatever the
backlog.
"""

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
REMOVE = "DELETE FROM rollup_deltas USING unnest($1::varchar[], $2::bigint[]) AS taken (p, n) WHERE project = p AND number = n"

CROWDED = f"""
SELECT project, span, start, level, array_agg(part) AS parts
FROM rollups JOIN unnest($1::varchar[], $2::smallint[], $3::int[]) AS touched (project, span, start) USING (project, span, start)
WHERE key = '' AND event_type = '' AND event_action = ''
GROUP BY project, span, start, level HAVING count(*) >= {FAN}
ORDER BY project, span, start, level
"""  # noqa: S608 - only our own constants
"""A part always has the row of all events; by it parts are known."""

SETTLED = """
SELECT project, span, start, max(level) AS level, array_agg(part) AS parts
FROM rollups WHERE key = '' AND event_type = '' AND event_action = ''
GROUP BY project, span, start HAVING count(*) > 1 AND start + span < extract(epoch FROM now()) / 3600 - 1
ORDER BY project, span, start LIMIT 500
"""
"""Hours and days that are over, in more than one part."""

PARTS = """
SELECT key, event_type, event_action, counts, people FROM rollups WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)
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
    """Take up waiting deltas in one transaction; how many events they were. The caller holds the
    lock COMPACTION.
    """
    async with connection.transaction():
        taken = await _take(connection)
        if not taken:
            return 0
        touched: list[Bucket] = []
        for project, rows in _by_project(taken).items():
            floor = await coverage.since(connection, project)
            packed = await asyncio.to_thread(
                _pack, [deltas.unpack(row["data"]) for row in rows], floor
            )
            await write(connection, project, packed, level=0)
            touched += {Bucket(project, place.span, place.start) for place in packed}
        await connection.execute(
            REMOVE, [row["project"] for row in taken], [row["number"] for row in taken]
        )
        await _merge_crowded(connection, touched)
    return sum(row["events"] for row in taken)


async def _take(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    taken, events = [], 0
    async for row in connection.cursor(TAKE, prefetch=200):
        taken.append(row)
        events += row["events"]
        if events >= MOST_EVENTS:
            break
    return taken


def _by_project(taken: Iterable[asyncpg.Record]) -> Mapping[str, list[asyncpg.Record]]:
    projects: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in taken:
        projects[row["project"]].append(row)
    return projects


def _pack(waiting: Sequence[Delta], floor: int) -> dict[Place, Row]:
    return pack_all(
        {place: cells for place, cells in gather(waiting).items() if place.start >= floor}
    )


def pack_all(cells: Cells) -> dict[Place, Row]:
    """Cells as rows."""
    return {place: pack(values) for place, values in cells.items()}


async def write(
    connection: asyncpg.Connection, project: str, rows: Mapping[Place, Row], *, level: int
) -> None:
    """Add rows as one part of their hours and days.

    A part is never changed, and its number is random, so that no other part ever has it, not even
    after a restore: questions remember by it.
    """
    part = secrets.randbits(63)
    records = [(project, *place, part, level, *row) for place, row in sorted(rows.items())]
    await connection.copy_records_to_table("rollups", columns=COLUMNS, records=records)


async def _merge_crowded(connection: asyncpg.Connection, touched: Sequence[Bucket]) -> None:
    """Merge until no touched bucket has too many parts of one level."""
    while touched:
        crowded = await connection.fetch(CROWDED, *map(list, zip(*touched, strict=True)))
        touched = [await _merge(connection, row) for row in crowded]


async def settle(connection: asyncpg.Connection) -> bool:
    """Bring some of the hours and days that are over to one part each; whether there may be more.
    The caller holds the lock COMPACTION.
    """
    async with connection.transaction():
        rows = await connection.fetch(SETTLED)
        for row in rows:
            await _merge(connection, row)
    return bool(rows)


async def _merge(connection: asyncpg.Connection, crowded: asyncpg.Record) -> Bucket:
    """Several parts of a bucket → one of the next level."""
    bucket = Bucket(crowded["project"], crowded["span"], crowded["start"])
    parts = crowded["parts"]
    rows = await connection.fetch(PARTS, *bucket, parts)
    merged = await asyncio.to_thread(_sum, bucket, rows)
    await connection.execute(REMOVE_PARTS, *bucket, parts)
    await write(connection, bucket.project, merged, level=crowded["level"] + 1)
    return bucket


def _sum(bucket: Bucket, rows: Iterable[asyncpg.Record]) -> dict[Place, Row]:
    places: defaultdict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        places[
            Place(bucket.span, bucket.start, row["key"], row["event_type"], row["event_action"])
        ].append(Row(row["counts"], row["people"]))
    merged = {}
    for place, addends in places.items():
        if len(addends) == 1:
            merged[place] = addends[0]
        elif len(cells := add_up(map(unpack, addends))) <= MAX_VALUES or place.key == ANY:
            merged[place] = pack(cells)
    return merged
