"""From which day on rollups are complete.

An exception are the days in `rollup_strays`, whose raw rows were changed without a delta.
"""

import logging
from datetime import datetime

import asyncpg

from analytics.derived import cells
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN, day_of, instant

log = logging.getLogger(__name__)

SINCE = "SELECT start FROM rollup_since WHERE project IN ($1, '') ORDER BY project DESC LIMIT 1"

ADVANCE = "UPDATE rollup_since SET start = $1 WHERE start < $1"
REMOVE = "DELETE FROM rollups WHERE start < $1"
REMOVE_STRAYS = "DELETE FROM rollup_strays WHERE start < $1"
REMOVE_PACKED = "DELETE FROM packed_days WHERE start < $1"


STRAYS = "SELECT DISTINCT start FROM rollup_strays WHERE project = $1 AND writer <> 0"
NAMELESS = "SELECT start FROM rollup_strays WHERE project = $1 AND writer = 0"
MARK_NAMELESS = "INSERT INTO rollup_strays VALUES ($1, $2, 0) ON CONFLICT DO NOTHING"
MARK_STRAY = """
INSERT INTO rollup_strays VALUES ($1, $2, pg_current_xact_id()::text::bigint)
ON CONFLICT DO NOTHING
"""
REMOVE_NAMES = f"""
DELETE FROM rollups WHERE project = $1 AND event_type <> '' AND (
    span = {HOUR_SPAN} AND start >= $2 AND start < $2 + {DAY_SPAN}
    OR span = {DAY_SPAN} AND start = $2
)
"""  # noqa: S608 - only our own constants
COUNT_NAMELESS = "SELECT count(*) FROM rollup_strays WHERE writer = 0"


async def strays(connection: asyncpg.Connection, project: str) -> set[int]:
    """The days of a project whose raw rows were changed without a delta, by their first hours."""
    return {row["start"] for row in await connection.fetch(STRAYS, project)}


async def nameless(connection: asyncpg.Connection, project: str) -> set[int]:
    """The nameless days of a project: they have more names than `cells.MAX_NAMES`.

    They are strays that nobody wrote (writer 0), so an older release reads raw rows for them.
    """
    return {row["start"] for row in await connection.fetch(NAMELESS, project)}


async def mark_stray(connection: asyncpg.Connection, project: str, day: int) -> None:
    """Let raw rows answer for a day until the next upkeep rebuilds it."""
    await connection.execute(MARK_STRAY, project, day)


async def make_nameless(connection: asyncpg.Connection, project: str, day: int) -> None:
    """Delete the rows of a day by name. The caller holds the lock COMPACTION."""
    log.warning(
        "%s has more than %d pairs of event type and action on %s:"
        " from now on raw events answer what asks for them, which takes longer",
        project,
        cells.MAX_NAMES,
        instant(day).date(),
    )
    await connection.execute(MARK_NAMELESS, project, day)
    await connection.execute(REMOVE_NAMES, project, day)


async def since(connection: asyncpg.Connection, project: str) -> int:
    """The first hour, since 1970, from which on a project's rollups are complete."""
    start: int = await connection.fetchval(SINCE, project)
    return start


async def forget(connection: asyncpg.Connection, horizon: datetime) -> None:
    """Delete derived data of all days that begin before `horizon`.

    The raw rows before it are about to be dropped. From now on only raw rows answer for that time:
    those that are left of the day that `horizon` is in, too.
    The caller holds the lock COMPACTION.
    """
    start = day_of(horizon)
    if instant(start) < horizon:
        start += DAY_SPAN
    async with connection.transaction():
        await connection.execute(ADVANCE, start)
        await connection.execute(REMOVE, start)
        await connection.execute(REMOVE_STRAYS, start)
        await connection.execute(REMOVE_PACKED, start)
