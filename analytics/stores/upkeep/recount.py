"""Rollups counted from raw rows: a project and a UTC day at a time.

Everything is read in the snapshot of the caller's transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime

import asyncpg

from analytics.derived import deltas
from analytics.derived.cells import Cells, add_up, gather
from analytics.derived.deltas import Delta, Dimensions
from analytics.derived.instants import DAY_SPAN, day_of, instant
from analytics.events import Event
from analytics.stores.writing.people import KNOWN

CHUNK_ROWS = 10_000
MAX_CHUNKS = 20
"""Rows read at once, and how many chunks are held before they are added up.

So memory does not grow with the day.
"""

ROWS = """
SELECT project, id, session_id, user_id, event_type, event_action,
    convert_to(metadata::text, 'UTF8') AS metadata, timestamp, created_at
FROM raw_events WHERE project = $1 AND timestamp >= $2 AND timestamp < $3
"""

UNNUMBERED = """
SELECT DISTINCT coalesce(user_id, session_id) FROM raw_events
WHERE project = $1 AND timestamp >= $2 AND timestamp < $3 AND NOT EXISTS (
    SELECT FROM people
    WHERE people.project = $1 AND actor = coalesce(user_id, session_id) COLLATE "C"
)
"""

FIRST = "SELECT min(timestamp) FROM raw_events WHERE project = $1 AND timestamp >= $2"
LAST = "SELECT max(timestamp) FROM raw_events WHERE project = $1 AND timestamp < $2"

PROJECTS = """
WITH RECURSIVE names AS (
    SELECT min(project) AS name FROM raw_events
    UNION ALL
    SELECT (SELECT min(project) FROM raw_events WHERE project > name)
    FROM names WHERE name IS NOT NULL
) SELECT name FROM names WHERE name IS NOT NULL
"""

Number = Callable[[str], int]
"""Called with an actor who has no number in `people`; returns one to count with, or raises."""


async def projects(connection: asyncpg.Connection) -> list[str]:
    """The projects that have raw rows."""
    return [row["name"] for row in await connection.fetch(PROJECTS)]


async def days(
    connection: asyncpg.Connection, project: str, since: datetime, until: datetime
) -> AsyncIterator[int]:
    """The days in a range that have raw rows, by their first hours, oldest first."""
    while (first := await connection.fetchval(FIRST, project, since)) is not None and first < until:
        day = day_of(first)
        yield day
        since = instant(day + DAY_SPAN)


async def last_day(connection: asyncpg.Connection, project: str, before: datetime) -> int | None:
    """The newest day with a raw row before an instant, by its first hour."""
    last = await connection.fetchval(LAST, project, before)
    return None if last is None else day_of(last)


async def unnumbered(connection: asyncpg.Connection, project: str, day: int) -> list[str]:
    """The actors of a day who have no number."""
    rows = await connection.fetch(UNNUMBERED, project, *_bounds(day))
    return [actor for (actor,) in rows]


def _bounds(day: int) -> tuple[datetime, datetime]:
    """The first instant of a day and of the next."""
    return instant(day), instant(day + DAY_SPAN)


async def count(
    connection: asyncpg.Connection, project: str, day: int, dimensions: Dimensions, number: Number
) -> Cells:
    """All cells of a day."""
    cells: Cells = {}
    parts: list[Delta] = []
    chunk: list[Event] = []
    numbers: dict[str, int] = {}
    async for row in connection.cursor(ROWS, project, *_bounds(day), prefetch=CHUNK_ROWS):
        chunk.append(Event(**row))
        if len(chunk) == CHUNK_ROWS:
            parts += await _delta(connection, project, chunk, dimensions, numbers, number)
            chunk = []
            if len(parts) == MAX_CHUNKS:
                cells, parts = await asyncio.to_thread(_add, cells, parts), []
    parts += await _delta(connection, project, chunk, dimensions, numbers, number)
    return await asyncio.to_thread(_add, cells, parts)


def _add(cells: Cells, parts: Sequence[Delta]) -> Cells:
    """Cells plus those of some deltas."""
    new = gather(parts)
    return {
        key: add_up(values for values in (cells.get(key), new.get(key)) if values)
        for key in {*cells, *new}
    }


async def _delta(
    connection: asyncpg.Connection,
    project: str,
    chunk: list[Event],
    dimensions: Dimensions,
    numbers: dict[str, int],
    number: Number,
) -> Collection[Delta]:
    """The delta of a chunk of rows; adds the numbers of its actors to `numbers`."""
    if missing := {event.actor for event in chunk} - numbers.keys():
        numbers.update(await connection.fetch(KNOWN, project, list(missing)))
        numbers.update({actor: number(actor) for actor in missing - numbers.keys()})
    people = [numbers[event.actor] for event in chunk]
    built = await asyncio.to_thread(deltas.build, chunk, people, dimensions)
    return built.values()
