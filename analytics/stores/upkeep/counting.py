"""What rollups should be, counted from raw rows, a project and a UTC day at a time, in the snapshot
of the caller's transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime

import asyncpg

from analytics.derived import deltas
from analytics.derived.cells import Cells, add_up, gather
from analytics.derived.deltas import Delta, Dimensions
from analytics.derived.instants import day_of, instant
from analytics.events import Event
from analytics.stores.writing.people import KNOWN

CHUNK = 10_000
CHUNKS = 20
"""Rows read at once, and how many such are held before they are added up, so that memory does not
grow with the day.
"""

ROWS = """
SELECT project, id, session_id, user_id, event_type, event_action, convert_to(metadata::text, 'UTF8') AS metadata, timestamp, created_at
FROM raw_events WHERE project = $1 AND timestamp >= $2 AND timestamp < $3
"""

STRANGERS = """
SELECT DISTINCT coalesce(user_id, session_id) FROM raw_events
WHERE project = $1 AND timestamp >= $2 AND timestamp < $3
    AND NOT EXISTS (SELECT FROM people WHERE people.project = $1 AND actor = coalesce(user_id, session_id) COLLATE "C")
"""

FIRST = "SELECT min(timestamp) FROM raw_events WHERE project = $1 AND timestamp >= $2"
LAST = "SELECT max(timestamp) FROM raw_events WHERE project = $1 AND timestamp < $2"

PROJECTS = """
WITH RECURSIVE names AS (
    SELECT min(project) AS name FROM raw_events
    UNION ALL
    SELECT (SELECT min(project) FROM raw_events WHERE project > name) FROM names WHERE name IS NOT NULL
) SELECT name FROM names WHERE name IS NOT NULL
"""

Number = Callable[[str], int]
"""The number of an actor whom the dictionary lacks."""


async def projects(connection: asyncpg.Connection) -> list[str]:
    """The projects that have raw rows."""
    return [row["name"] for row in await connection.fetch(PROJECTS)]


async def days(
    connection: asyncpg.Connection, project: str, since: datetime, until: datetime
) -> AsyncIterator[int]:
    """The days in a range that have raw rows, by their first hours, oldest first."""
    while (found := await connection.fetchval(FIRST, project, since)) is not None and found < until:
        day = day_of(found)
        yield day
        since = instant(day + 24)


async def last_day(connection: asyncpg.Connection, project: str, before: datetime) -> int | None:
    """The newest day with a raw row before an instant."""
    found = await connection.fetchval(LAST, project, before)
    return None if found is None else day_of(found)


async def strangers(connection: asyncpg.Connection, project: str, day: int) -> list[str]:
    """Who acted on a day and has no number."""
    return [
        row[0]
        for row in await connection.fetch(STRANGERS, project, instant(day), instant(day + 24))
    ]


async def count(
    connection: asyncpg.Connection, project: str, day: int, dimensions: Dimensions, stranger: Number
) -> Cells:
    """All cells of a day."""
    cells: Cells = {}
    parts: list[Delta] = []
    chunk: list[Event] = []
    numbers: dict[str, int] = {}
    async for row in connection.cursor(
        ROWS, project, instant(day), instant(day + 24), prefetch=CHUNK
    ):
        chunk.append(Event(**row))
        if len(chunk) == CHUNK:
            parts += await _delta(connection, project, chunk, dimensions, numbers, stranger)
            chunk = []
            if len(parts) == CHUNKS:
                cells, parts = await asyncio.to_thread(_add, cells, parts), []
    parts += await _delta(connection, project, chunk, dimensions, numbers, stranger)
    return await asyncio.to_thread(_add, cells, parts)


def _add(cells: Cells, parts: Sequence[Delta]) -> Cells:
    new = gather(parts)
    return {
        place: add_up(values for values in (cells.get(place), new.get(place)) if values)
        for place in {*cells, *new}
    }


async def _delta(
    connection: asyncpg.Connection,
    project: str,
    chunk: list[Event],
    dimensions: Dimensions,
    numbers: dict[str, int],
    stranger: Number,
) -> Collection[Delta]:
    if missing := {event.actor for event in chunk} - numbers.keys():
        numbers.update(await connection.fetch(KNOWN, project, list(missing)))
        numbers.update({actor: stranger(actor) for actor in missing - numbers.keys()})
    made = await asyncio.to_thread(
        deltas.of, chunk, [numbers[event.actor] for event in chunk], dimensions
    )
    return made.values()
