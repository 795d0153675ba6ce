"""Rebuild: rollups made again from raw rows, day by day, while events are stored.

Each day is one transaction: in its snapshot all deltas are compacted and the day's rows replaced.
Events stored after the snapshot leave deltas that are compacted later. So nothing is counted twice
or missed. A rebuild that was interrupted continues where it was.
"""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg

from analytics.derived.cells import without_names
from analytics.derived.deltas import Dimensions
from analytics.derived.instants import BEGINNING, DAY_SPAN, HOUR_SPAN, day_of, instant
from analytics.stores.locks import COMPACTION, alone
from analytics.stores.upkeep import compaction, coverage, parts, recount
from analytics.stores.writing import people

REBUILT = 20
"""The level of a rebuilt part, above the levels that compaction reaches by itself."""

ATTEMPTS = 5
"""How often a day is tried while others change its rows."""

MAX_HEALED_DAYS = 7
"""Days of a project that one upkeep heals."""

REMOVE = f"""
DELETE FROM rollups WHERE project = $1 AND (
    span = {HOUR_SPAN} AND start >= $2 AND start < $2 + {DAY_SPAN}
    OR span = {DAY_SPAN} AND start = $2
)
"""  # noqa: S608 - only our own constants
REMOVE_PACKED = "DELETE FROM packed_days WHERE project = $1 AND start = $2"
REMOVE_ALL_STRAY_PACKED = """
DELETE FROM packed_days USING rollup_strays
WHERE packed_days.project = rollup_strays.project AND packed_days.start = rollup_strays.start
"""
HEAL = "DELETE FROM rollup_strays WHERE project = $1 AND start = $2"
STRAYS = """
SELECT DISTINCT start FROM rollup_strays WHERE project = $1 AND start >= $2 AND writer <> 0
ORDER BY start DESC
"""
STRAY_PROJECTS = "SELECT DISTINCT project FROM rollup_strays WHERE writer <> 0"
LOWER = """
INSERT INTO rollup_since VALUES ($1, $2)
ON CONFLICT (project) DO UPDATE SET start = excluded.start
"""
FINISH = "UPDATE rollup_since SET start = $1 WHERE project = ''"


class _UnnumberedActor(Exception):
    """A raw row of an actor without a number, which came after the numbers were given."""


async def missing(
    connection: asyncpg.Connection,
    project: str,
    dimensions: Dimensions,
    since: datetime | None = None,
) -> AsyncIterator[int]:
    """Rebuild the days that are not complete, from the newest to the oldest or to that of `since`.

    Yields the first hour of each day when it is done.
    """
    floor = BEGINNING if since is None else day_of(since)
    complete = await coverage.since(connection, project)
    for row in await connection.fetch(STRAYS, project, max(floor, complete)):
        await day(connection, project, row["start"], dimensions)
        yield row["start"]
    while (done := await day(connection, project, None, dimensions, floor)) is not None:
        yield done


async def heal(connection: asyncpg.Connection, dimensions: Dimensions) -> None:
    """Rebuild the newest days whose raw rows were changed without deltas, a few of each project.

    The packed days of all changed days are deleted at once.
    """
    await connection.execute(REMOVE_ALL_STRAY_PACKED)
    for (project,) in await connection.fetch(STRAY_PROJECTS):
        floor = await coverage.since(connection, project)
        for row in await connection.fetch(f"{STRAYS} LIMIT {MAX_HEALED_DAYS}", project, floor):
            await day(connection, project, row["start"], dimensions)


async def finish(connection: asyncpg.Connection) -> bool:
    """Once no project has raw rows before its rollups, mark future projects as complete too.

    Returns whether that is so.
    """
    async with alone(connection, COMPACTION), connection.transaction(isolation="repeatable_read"):
        await _compact(connection)
        for project in await recount.projects(connection):
            if await _newest_incomplete(connection, project) is not None:
                return False
        await connection.execute(FINISH, BEGINNING)
        return True


async def day(
    connection: asyncpg.Connection,
    project: str,
    start: int | None,
    dimensions: Dimensions,
    floor: int = BEGINNING,
) -> int | None:
    """Rebuild a day; returns its first hour.

    `start` is its first hour. None means the newest day with raw rows before those that are
    complete; the answer is None when there is no such day from `floor` on. Raises RuntimeError when
    other transactions change the day's rows again and again.
    """
    for _ in range(ATTEMPTS):
        await _number_actors(connection, project, start)
        try:
            async with (
                alone(connection, COMPACTION),
                connection.transaction(isolation="repeatable_read"),
            ):
                return await _day(connection, project, start, dimensions, floor)
        except (_UnnumberedActor, asyncpg.SerializationError):
            continue
    raise RuntimeError(f"others keep changing the rows of {project} while they are read")


async def _number_actors(connection: asyncpg.Connection, project: str, start: int | None) -> None:
    """Give numbers to the actors of a day who have none, before the snapshot that reads them."""
    if start is None:
        start = await _newest_incomplete(connection, project)
    actors = await recount.unnumbered(connection, project, start) if start is not None else []
    for first in range(0, len(actors), recount.CHUNK_ROWS):
        async with connection.transaction():
            await people.look_up(connection, project, actors[first : first + recount.CHUNK_ROWS])


async def _newest_incomplete(connection: asyncpg.Connection, project: str) -> int | None:
    """The newest day with raw rows before those that are complete."""
    since = await coverage.since(connection, project)
    if since <= BEGINNING:
        return None
    return await recount.last_day(connection, project, instant(since))


async def _day(
    connection: asyncpg.Connection,
    project: str,
    start: int | None,
    dimensions: Dimensions,
    floor: int,
) -> int | None:
    """`day`, in a snapshot in which all actors have numbers."""
    await _compact(connection)
    backwards = start is None
    if start is None:
        start = await _newest_incomplete(connection, project)
        if start is None or start < floor:
            lowered = BEGINNING if start is None else floor
            if await coverage.since(connection, project) > lowered:
                await connection.execute(LOWER, project, lowered)
            return None
    cells = await recount.count(connection, project, start, dimensions, _refuse)
    await connection.execute(REMOVE, project, start)
    await connection.execute(REMOVE_PACKED, project, start)
    await parts.write(connection, project, parts.pack_all(cells), level=REBUILT)
    await connection.execute(HEAL, project, start)
    if cells and len(cells) == len(without_names(cells)):
        await coverage.make_nameless(connection, project, start)
    if backwards:
        await connection.execute(LOWER, project, start)
    return start


def _refuse(actor: str) -> int:
    raise _UnnumberedActor


async def _compact(connection: asyncpg.Connection) -> None:
    while await compaction.compact(connection):
        pass
