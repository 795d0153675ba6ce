"""Rollups counted from raw rows: a project and a UTC day at a time.

Everything is read in the snapshot of the caller's transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime

import asyncpg

from analytics.derived import deltas
from analytics.derived.cells import (
    ANY,
    Cells,
    add_up,
    empty_if_large,
    gather,
    nameless_days,
    too_many_names,
    without_names,
)
from analytics.derived.deltas import Delta, Dimensions
from analytics.derived.instants import DAY_SPAN, day_of, instant
from analytics.events import Event
from analytics.stores.writing.people import KNOWN

CHUNK_ROWS = 5_000
CHUNK_BYTES = 8 * 1024 * 1024
PREFETCHED_ROWS = 500
"""Rows that are counted at once, by number and by bytes of metadata, and that are read at once."""

MAX_CELLS = 100_000
"""Cells of chunks that are held before they are added up.

So memory does not grow with the day.
"""

MAX_DAY_CELLS = 400_000
"""Cells of a day. With more, only the rows over all types and actions have dimensions."""

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
    count = _Count(day)
    chunk: list[Event] = []
    size_bytes = 0
    numbers: dict[str, int] = {}
    async for row in connection.cursor(ROWS, project, *_bounds(day), prefetch=PREFETCHED_ROWS):
        chunk.append(Event(**row))
        size_bytes += len(row["metadata"])
        if len(chunk) == CHUNK_ROWS or size_bytes >= CHUNK_BYTES:
            for delta in await _delta(connection, project, chunk, dimensions, numbers, number):
                await count.add(delta)
            chunk, size_bytes = [], 0
    for delta in await _delta(connection, project, chunk, dimensions, numbers, number):
        await count.add(delta)
    return await count.cells()


class _Count:
    """The cells of a day, while its deltas are added up."""

    def __init__(self, day: int) -> None:
        self._day = day
        self._cells: Cells = {}
        self._parts: list[Delta] = []
        self._waiting = 0
        self._nameless = False

    async def add(self, delta: Delta) -> None:
        self._parts.append(delta)
        self._waiting += deltas.count_cells(delta)
        if self._waiting >= MAX_CELLS:
            await asyncio.to_thread(self._add)

    async def cells(self) -> Cells:
        await asyncio.to_thread(self._add)
        return self._cells

    def _add(self) -> None:
        """Add up what waits; then leave out what there is too much of, which the sums show."""
        self._nameless = self._nameless or self._day in nameless_days(self._parts)
        new = gather(self._parts, {self._day} if self._nameless else ())
        old = without_names(self._cells) if self._nameless else self._cells
        self._parts, self._waiting = [], 0
        sums = {
            key: add_up(values for values in (old.get(key), new.get(key)) if values)
            for key in {*old, *new}
        }
        if too_many_names(sums):
            self._nameless, sums = True, without_names(sums)
        small = {key: empty_if_large(each) for key, each in sums.items()}
        if sum(map(len, small.values())) > MAX_DAY_CELLS:
            small = {key: each for key, each in small.items() if ANY in (key.key, key.event_type)}
        self._cells = small


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
