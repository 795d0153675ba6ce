"""From which day on rollups are complete.

An exception are the days in `rollup_strays`, whose raw rows were changed without a delta.
"""

from datetime import datetime

import asyncpg

from analytics.derived.instants import DAY_SPAN, day_of, instant

SINCE = "SELECT start FROM rollup_since WHERE project IN ($1, '') ORDER BY project DESC LIMIT 1"

ADVANCE = "UPDATE rollup_since SET start = $1 WHERE start < $1"
REMOVE = "DELETE FROM rollups WHERE start < $1"
REMOVE_STRAYS = "DELETE FROM rollup_strays WHERE start < $1"
REMOVE_PACKED = "DELETE FROM packed_days WHERE start < $1"


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
