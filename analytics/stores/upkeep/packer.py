"""Pack the days that are over into columns, the newest first.

A packed day is valid as long as its rollups consist of the same single part. Nothing waits for
packing: questions read the raw rows of a day that is not packed or no longer valid.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import asyncpg

from analytics.derived import deltas
from analytics.derived.instants import DAY_SPAN, HOUR_SECONDS, instant
from analytics.derived.packed_day import (
    FORMAT,
    MAX_ROWS,
    RECORD_SQL,
    Day,
    NamedRecords,
    UnnumberedActor,
    pack,
)
from analytics.stores.upkeep import coverage

log = logging.getLogger(__name__)

PAGE_DAYS = 1000
"""Days that one statement looks up; the statement reads all days."""

END_OF_TIME = 2**31 - 1
"""An hour after all days."""

PACK_SECONDS = 60
"""How long one upkeep packs days."""

WHOLE = "key = '' AND event_type = '' AND event_action = ''"
"""The one row of a part that counts all events without a dimension."""

UNPACKED = f"""
SELECT project, rollups.start, min(rollups.part) AS part
FROM rollups LEFT JOIN packed_days USING (project, start)
WHERE span = {DAY_SPAN} AND {WHOLE}
    AND rollups.start + {DAY_SPAN} < extract(epoch FROM now()) / {HOUR_SECONDS} - 1
    AND (rollups.start, project) < ($1, $2)
GROUP BY project, rollups.start, packed_days.part
HAVING count(*) = 1 AND min(rollups.part) IS DISTINCT FROM packed_days.part
ORDER BY rollups.start DESC, project DESC LIMIT $3
"""  # noqa: S608 - only our own constants
"""Days that ended more than an hour ago, have one part, and are not packed from that part."""

ROWS = f"""
SELECT event_type, event_action, count(*) AS rows,
    coalesce(string_agg({RECORD_SQL}, ''), '') AS records
FROM raw_events
LEFT JOIN people ON people.project = $1 AND actor = coalesce(user_id, session_id) COLLATE "C"
WHERE raw_events.project = $1 AND timestamp >= $2 AND timestamp < $3
GROUP BY event_type, event_action
"""  # noqa: S608 - only our own constants

COUNT = """
SELECT value FROM daily_metrics WHERE project = $1 AND date = $2
    AND metric_name = 'events' AND dimension_key = '' AND dimension_value = ''
"""

PARTS = f"""
SELECT array_agg(part) FROM rollups
WHERE project = $1 AND span = {DAY_SPAN} AND start = $2 AND {WHOLE}
"""  # noqa: S608 - only our own constants

STRAYED = "SELECT EXISTS (SELECT FROM rollup_strays WHERE project = $1 AND start = $2)"
WAITING = "SELECT data FROM rollup_deltas WHERE project = $1"

PACKED = f"""
SELECT part, data FROM packed_days
WHERE project = $1 AND start = $2 AND get_byte(data, 0) = {FORMAT}
"""  # noqa: S608 - only our own constants

REMOVE_INVALID = f"""
DELETE FROM packed_days AS packed WHERE NOT EXISTS (
    SELECT FROM rollups WHERE project = packed.project AND span = {DAY_SPAN}
        AND start = packed.start AND part = packed.part AND {WHOLE}
)
"""  # noqa: S608 - only our own constants
"""Questions ignore these days already, but they may hold rows that were deleted since.

They come from a rebuild while the day was packed, or by an older release.
"""

WRITE = """
INSERT INTO packed_days (project, start, part, data) VALUES ($1, $2, $3, $4)
ON CONFLICT (project, start) DO UPDATE SET part = excluded.part, data = excluded.data
"""


async def pack_days(connection: asyncpg.Connection, seconds: float = PACK_SECONDS) -> None:
    """Pack the days that are over and not packed yet, for at most so many seconds.

    The caller holds the lock UPKEEP.
    """
    until = time.monotonic() + seconds
    await connection.execute(REMOVE_INVALID)
    before = (END_OF_TIME, "")
    while days := await connection.fetch(UNPACKED, *before, PAGE_DAYS):
        for row in days:
            try:
                await _day(connection, row["project"], row["start"], row["part"])
            except (asyncpg.QueryCanceledError, TimeoutError):  # the next day may be smaller
                log.warning(
                    "a day of %s takes too long to pack, so raw rows answer for it: %s",
                    row["project"],
                    instant(row["start"]).date(),
                )
            if time.monotonic() > until:
                return
        before = (days[-1]["start"], days[-1]["project"])


async def _day(connection: asyncpg.Connection, project: str, start: int, part: int) -> None:
    """Pack a day, unless its rollups change meanwhile."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        groups = await read_groups(connection, project, start, part)
    if groups is not None and (day := await asyncio.to_thread(_pack, start, groups)):
        await connection.execute(WRITE, project, start, part, await asyncio.to_thread(day.encode))


def _pack(start: int, groups: Sequence[NamedRecords]) -> Day | None:
    """A packed day; None where an actor has no number."""
    try:
        return pack(start, groups)
    except UnnumberedActor:
        return None


async def read_groups(
    connection: asyncpg.Connection, project: str, start: int, part: int
) -> Sequence[NamedRecords] | None:
    """A day's raw rows, in the snapshot of the caller's transaction.

    None where the part of rollups does not count just these rows, or where the day is too large.
    """
    if await connection.fetchval(PARTS, project, start) != [part]:
        return None
    if await connection.fetchval(STRAYED, project, start):
        return None
    if start < await coverage.since(connection, project):
        return None
    if await _has_deltas(connection, project, start):
        return None
    if (await connection.fetchval(COUNT, project, instant(start).date()) or 0) > MAX_ROWS:
        return None
    rows = await connection.fetch(ROWS, project, instant(start), instant(start + DAY_SPAN))
    return [
        NamedRecords((row["event_type"], row["event_action"], None), row["rows"], row["records"])
        for row in rows
    ]


async def find_difference(
    connection: asyncpg.Connection, project: str, start: int
) -> tuple[Day, Day] | None:
    """A day as packed and as its raw rows say, where they differ; else None.

    Only a day that questions read is compared, in the snapshot of the caller's transaction.
    """
    row = await connection.fetchrow(PACKED, project, start)
    groups = row and await read_groups(connection, project, start, row["part"])
    if groups is None or (true := await asyncio.to_thread(_pack, start, groups)) is None:
        return None
    packed = await asyncio.to_thread(Day.decode, row["data"])
    return None if packed.same(true) else (packed, true)


async def _has_deltas(connection: asyncpg.Connection, project: str, start: int) -> bool:
    """Whether any waiting delta counts events of a day."""
    waiting = [deltas.unpack(row["data"]) for row in await connection.fetch(WAITING, project)]
    return any(
        start <= group.hour < start + DAY_SPAN for delta in waiting for group in delta.groups
    )
