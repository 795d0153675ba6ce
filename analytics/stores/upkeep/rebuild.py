"""Rebuilding: rollups from raw rows, day by day, while events are stored; a rebuild that was
interrupted goes on where it was.

Each day is one transaction: in its snapshot all deltas are compacted and the day's rows replaced.
What is stored after the snapshot has deltas that are compacted after it, so that nothing is counted
twice or missed.
"""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg

from analytics.derived.deltas import Dimensions
from analytics.derived.instants import BEGINNING, day_of, instant
from analytics.stores.locks import COMPACTION, alone
from analytics.stores.upkeep import compaction, counting, coverage
from analytics.stores.upkeep.counting import CHUNK
from analytics.stores.writing import people

REBUILT = 20
"""The level of a part that was rebuilt, above those that compaction merges as they come."""

TRIES = 5

AT_ONCE = 7
"""Days of a project that are healed in one go."""

REMOVE = "DELETE FROM rollups WHERE project = $1 AND (span = 1 AND start >= $2 AND start < $2 + 24 OR span = 24 AND start = $2)"
REMOVE_PACKED = "DELETE FROM packed_days WHERE project = $1 AND start = $2"
REMOVE_STRAYED = "DELETE FROM packed_days USING rollup_strays WHERE packed_days.project = rollup_strays.project AND packed_days.start = rollup_strays.start"
HEAL = "DELETE FROM rollup_strays WHERE project = $1 AND start = $2"
STRAYS = "SELECT DISTINCT start FROM rollup_strays WHERE project = $1 AND start >= $2 ORDER BY start DESC"
STRAYED = "SELECT DISTINCT project FROM rollup_strays"
LOWER = "INSERT INTO rollup_since VALUES ($1, $2) ON CONFLICT (project) DO UPDATE SET start = excluded.start"
UNKNOWN = "SELECT count(*) FROM unnest($1::varchar[]) AS name WHERE NOT EXISTS (SELECT FROM rollup_since WHERE project = name AND start <= $2)"
FINISH = "UPDATE rollup_since SET start = $1 WHERE project = ''"


class Strangers(Exception):
    """Raw rows of people who have no number, because somebody else wrote those rows."""


async def missing(
    connection: asyncpg.Connection,
    project: str,
    dimensions: Dimensions,
    since: datetime | None = None,
) -> AsyncIterator[int]:
    """Rebuild what is not complete, from the newest day to the oldest, or to that of `since`; each
    day as it is done, by its first hour.
    """
    floor = BEGINNING if since is None else day_of(since)
    for row in await connection.fetch(
        STRAYS, project, max(floor, await coverage.since(connection, project))
    ):
        await day(connection, project, row["start"], dimensions)
        yield row["start"]
    while (done := await day(connection, project, None, dimensions, floor)) is not None:
        yield done


async def heal(connection: asyncpg.Connection, dimensions: Dimensions) -> None:
    """Rebuild the newest days that somebody changed without deltas, a few of each project at a
    time; of all of them no packed rows stay.
    """
    await connection.execute(REMOVE_STRAYED)
    for project in await connection.fetch(STRAYED):
        floor = await coverage.since(connection, project["project"])
        for row in await connection.fetch(f"{STRAYS} LIMIT {AT_ONCE}", project["project"], floor):
            await day(connection, project["project"], row["start"], dimensions)


async def finish(connection: asyncpg.Connection) -> bool:
    """Once every project is complete, say so for those to come; whether they all were."""
    async with alone(connection, COMPACTION), connection.transaction(isolation="repeatable_read"):
        await _compact(connection)
        if await connection.fetchval(UNKNOWN, await counting.projects(connection), BEGINNING):
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
    """Rebuild a day, by default the newest one that is before where rollups are complete; None when
    there is none from `floor` on.
    """
    for _ in range(TRIES):
        await _introduce(connection, project, start)
        try:
            async with (
                alone(connection, COMPACTION),
                connection.transaction(isolation="repeatable_read"),
            ):
                return await _day(connection, project, start, dimensions, floor)
        except (Strangers, asyncpg.SerializationError):
            continue
    raise RuntimeError(f"others keep changing the rows of {project} while they are read")


async def _introduce(connection: asyncpg.Connection, project: str, start: int | None) -> None:
    """Give numbers to people of a day who have none, before the snapshot, which would not see them."""
    if start is None:
        since = await coverage.since(connection, project)
        start = (
            await counting.last_day(connection, project, instant(since))
            if since > BEGINNING
            else None
        )
    actors = await counting.strangers(connection, project, start) if start is not None else []
    for at in range(0, len(actors), CHUNK):
        async with connection.transaction():
            await people.look_up(connection, project, actors[at : at + CHUNK])


async def _day(
    connection: asyncpg.Connection,
    project: str,
    start: int | None,
    dimensions: Dimensions,
    floor: int,
) -> int | None:
    await _compact(connection)
    since = await coverage.since(connection, project)
    backwards = start is None
    if start is None:
        start = (
            await counting.last_day(connection, project, instant(since))
            if since > BEGINNING
            else None
        )
        if start is None or start < floor:
            lowered = BEGINNING if start is None else floor
            if since > lowered:
                await connection.execute(LOWER, project, lowered)
            return None
    cells = await counting.count(connection, project, start, dimensions, _no_stranger)
    await connection.execute(REMOVE, project, start)
    await connection.execute(REMOVE_PACKED, project, start)
    await compaction.write(connection, project, compaction.pack_all(cells), level=REBUILT)
    await connection.execute(HEAL, project, start)
    if backwards:
        await connection.execute(LOWER, project, start)
    return start


def _no_stranger(actor: str) -> int:
    raise Strangers


async def _compact(connection: asyncpg.Connection) -> None:
    while await compaction.compact(connection):
        pass
