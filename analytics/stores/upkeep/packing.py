"""Packing: the days that are over become columns, the newest first; a packed day is true for as
long as its rollups are the same one part.

Nothing here is waited for: of a day that is not packed, or no longer truly, questions read the raw
rows.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import asyncpg

from analytics.derived import deltas
from analytics.derived.instants import DAY_SPAN, instant
from analytics.derived.packed_day import AS_RECORD, FORMAT, MAX_ROWS, Day, Group, Strangers, pack
from analytics.stores.upkeep import coverage

log = logging.getLogger(__name__)

AT_ONCE = 1000
"""Days that are looked up by one statement, which looks at all that there are."""

NEWEST = 2**31 - 1
"""An hour after all days."""

SECONDS = 60
"""For which days are packed at a time."""

UNPACKED = """
SELECT project, rollups.start, min(rollups.part) AS part
FROM rollups LEFT JOIN packed_days USING (project, start)
WHERE span = 24 AND key = '' AND event_type = '' AND event_action = ''
    AND rollups.start + 24 < extract(epoch FROM now()) / 3600 - 1 AND (rollups.start, project) < ($1, $2)
GROUP BY project, rollups.start, packed_days.part
HAVING count(*) = 1 AND min(rollups.part) IS DISTINCT FROM packed_days.part
ORDER BY rollups.start DESC, project DESC LIMIT $3
"""

ROWS = f"""
SELECT event_type, event_action, count(*) AS rows, coalesce(string_agg({AS_RECORD}, ''), '') AS records
FROM raw_events LEFT JOIN people ON people.project = $1 AND actor = coalesce(user_id, session_id) COLLATE "C"
WHERE raw_events.project = $1 AND timestamp >= $2 AND timestamp < $3
GROUP BY event_type, event_action
"""  # noqa: S608 - only our own constants

COUNT = """
SELECT value FROM daily_metrics
WHERE project = $1 AND date = $2 AND metric_name = 'events' AND dimension_key = '' AND dimension_value = ''
"""

PARTS = "SELECT array_agg(part) FROM rollups WHERE project = $1 AND span = 24 AND start = $2 AND key = '' AND event_type = '' AND event_action = ''"
STRAYED = "SELECT EXISTS (SELECT FROM rollup_strays WHERE project = $1 AND start = $2)"
WAITING = "SELECT data FROM rollup_deltas WHERE project = $1"

PACKED = f"SELECT part, data FROM packed_days WHERE project = $1 AND start = $2 AND get_byte(data, 0) = {FORMAT}"  # noqa: S608 - only our own constants

REMOVE_UNTRUE = """
DELETE FROM packed_days AS packed WHERE NOT EXISTS (
    SELECT FROM rollups WHERE project = packed.project AND span = 24 AND start = packed.start AND part = packed.part
        AND key = '' AND event_type = '' AND event_action = ''
)
"""
"""Nobody trusts these, but they hold rows that may be gone: what was rebuilt while it was packed,
or by an older release.
"""

WRITE = """
INSERT INTO packed_days (project, start, part, data) VALUES ($1, $2, $3, $4)
ON CONFLICT (project, start) DO UPDATE SET part = excluded.part, data = excluded.data
"""


async def pack_days(connection: asyncpg.Connection, seconds: float = SECONDS) -> None:
    """Pack what is over and not packed, for so long at most. The caller holds the lock UPKEEP."""
    until = time.monotonic() + seconds
    await connection.execute(REMOVE_UNTRUE)
    place = (NEWEST, "")
    while found := await connection.fetch(UNPACKED, *place, AT_ONCE):
        for row in found:
            try:
                await _day(connection, row["project"], row["start"], row["part"])
            except (asyncpg.QueryCanceledError, TimeoutError):  # the next may be smaller
                log.warning(
                    "a day of %s takes too long to pack, so raw rows answer for it: %s",
                    row["project"],
                    instant(row["start"]).date(),
                )
            if time.monotonic() > until:
                return
        place = (found[-1]["start"], found[-1]["project"])


async def _day(connection: asyncpg.Connection, project: str, start: int, part: int) -> None:
    """Pack a day, unless somebody is changing it."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await groups(connection, project, start, part)
    if found is not None and (day := await asyncio.to_thread(_made, start, found)):
        await connection.execute(WRITE, project, start, part, await asyncio.to_thread(day.encode))


def _made(start: int, found: Sequence[Group]) -> Day | None:
    try:
        return pack(start, found)
    except Strangers:
        return None


async def groups(
    connection: asyncpg.Connection, project: str, start: int, part: int
) -> Sequence[Group] | None:
    """A day's raw rows in the snapshot of the caller's transaction; None where a part of rollups is
    not all that is said of it.
    """
    if await connection.fetchval(PARTS, project, start) != [part] or await connection.fetchval(
        STRAYED, project, start
    ):
        return None
    if start < await coverage.since(connection, project) or await _waits(
        connection, project, start
    ):
        return None
    if (await connection.fetchval(COUNT, project, instant(start).date()) or 0) > MAX_ROWS:
        return None
    rows = await connection.fetch(ROWS, project, instant(start), instant(start + DAY_SPAN))
    return [
        Group((row["event_type"], row["event_action"], None), row["rows"], row["records"])
        for row in rows
    ]


async def wrong(connection: asyncpg.Connection, project: str, start: int) -> tuple[Day, Day] | None:
    """A packed day that questions trust and what it should be, if it is not that, in the snapshot
    of the caller's transaction.
    """
    row = await connection.fetchrow(PACKED, project, start)
    found = row and await groups(connection, project, start, row["part"])
    if found is None or (true := await asyncio.to_thread(_made, start, found)) is None:
        return None
    kept = await asyncio.to_thread(Day.decode, row["data"])
    return None if kept.same(true) else (kept, true)


async def _waits(connection: asyncpg.Connection, project: str, start: int) -> bool:
    """Whether there are deltas about a day."""
    waiting = [deltas.unpack(row["data"]) for row in await connection.fetch(WAITING, project)]
    return any(
        start <= group.hour < start + DAY_SPAN for delta in waiting for group in delta.groups
    )
