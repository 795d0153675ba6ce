"""Where rollups are complete: from which day on, but for days whose raw rows somebody changed
without a delta.
"""

from datetime import datetime

import asyncpg

from analytics.derived.instants import day_of

SINCE = "SELECT start FROM rollup_since WHERE project IN ($1, '') ORDER BY project DESC LIMIT 1"

ADVANCE = "UPDATE rollup_since SET start = $1 WHERE start < $1"
REMOVE = "DELETE FROM rollups WHERE start < $1"
REMOVE_STRAYS = "DELETE FROM rollup_strays WHERE start < $1"
REMOVE_PACKED = "DELETE FROM packed_days WHERE start < $1"


async def since(connection: asyncpg.Connection, project: str) -> int:
    """The first hour from which on a project's rollups are complete."""
    start: int = await connection.fetchval(SINCE, project)
    return start


async def forget(connection: asyncpg.Connection, horizon: datetime) -> None:
    """Give up what is before the day that `horizon` is in or, if it is not its first instant, up to
    that day's end.

    For raw rows that are about to be dropped: afterwards only raw rows, those that are left, answer
    for that time. The caller holds the lock COMPACTION.
    """
    start = day_of(horizon)
    start += 24 if start * 3600 < horizon.timestamp() else 0
    async with connection.transaction():
        await connection.execute(ADVANCE, start)
        await connection.execute(REMOVE, start)
        await connection.execute(REMOVE_STRAYS, start)
        await connection.execute(REMOVE_PACKED, start)
