"""The events of the deployment guide's own raw_events, carried over into ours.

Who runs the guide's SQL before `analytics migrate` has a `raw_events` that cannot stay: its key
lacks the column that partitions need. The first migration renames it to `raw_events_guide`.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
from msgspec.structs import astuple

from analytics.events import DEFAULT_PROJECT, Event, Job, Outcome
from analytics.settings import Settings
from analytics.stores.connections import connect, open_pool
from analytics.stores.layouts.layout import detect
from analytics.stores.writing import transaction
from analytics.stores.writing.recorder import Recorder
from analytics.tables import FIRST, LAST

SLICE_ROWS, SLICE_BYTES = 5_000, 8 * 1024 * 1024
"""Rows of one transaction, and the bytes of their metadata: a slice ends with the row that reaches
them.
"""

WAITS = """
SELECT coalesce(obj_description(to_regclass('raw_events_guide'), 'pg_class'), '') <> 'carried over'
    AND to_regclass('raw_events_guide') IS NOT NULL
"""

ORDER = "CREATE INDEX IF NOT EXISTS raw_events_guide_order ON raw_events_guide (timestamp, id)"

_READABLE = f"({{0}} >= '{FIRST.isoformat()}' AND {{0}} < '{LAST.isoformat()}')"
"""Whether a time is one of Python's."""

_COLUMNS = "id, session_id, user_id, event_type, event_action, metadata, timestamp, created_at"

ROWS = f"""
SELECT {_COLUMNS} FROM (
    SELECT *, sum(octet_length(metadata::text)) OVER (ORDER BY timestamp, id) AS bytes FROM (
        SELECT id, session_id, user_id, event_type, event_action,
            CASE jsonb_typeof(metadata) WHEN 'object' THEN metadata
                ELSE jsonb_strip_nulls(jsonb_build_object('value', metadata)) END AS metadata,
            timestamp,
            CASE WHEN {_READABLE.format("created_at")} THEN created_at ELSE timestamp END
                AS created_at
        FROM raw_events_guide
        WHERE (timestamp, id) > ($1, $2) AND {_READABLE.format("timestamp")}
        ORDER BY timestamp, id LIMIT $3
    ) AS next
) AS slice WHERE bytes - octet_length(metadata::text) < $4 ORDER BY timestamp, id
"""  # noqa: S608 - only our own constants
"""Metadata that is no object is kept under `value`; null becomes an empty object."""

UNREADABLE = f"""
SELECT id::text, timestamp::text, count(*) OVER () AS rows FROM raw_events_guide
WHERE NOT {_READABLE.format("timestamp")} ORDER BY raw_events_guide.timestamp, id LIMIT $1
"""  # noqa: S608 - only our own constants

DONE = "COMMENT ON TABLE raw_events_guide IS 'carried over'"

START = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
"""Before all rows."""


SHOWN_UNREADABLE = 5


class Unreadable(msgspec.Struct, frozen=True):
    """The rows that no event can be made of: their times are infinite, or of years before 2 or
    after 9998. They stay where they are.
    """

    rows: int = 0
    first: Sequence[str] = ()
    """`ID at TIME` of the first of them."""


class Carried(msgspec.Struct, frozen=True):
    """What became of the events, and how many are older than RETENTION_DAYS."""

    outcome: Outcome
    expired: int
    unreadable: Unreadable


async def waits(connection: asyncpg.Connection) -> bool:
    """Whether the guide's table has events that are not carried over yet."""
    waiting: bool = await connection.fetchval(WAITS)
    return waiting


async def carry(settings: Settings) -> Carried | None:
    """Store the events of `raw_events_guide` in project `default`, with their ids and times.

    Returns None if there is nothing to do. Safe to run again after an interruption: what is stored
    already counts as a duplicate. Events go through the storing transaction, so rollups and daily
    counts hold them too. The guide's table stays.
    """
    async with connect(settings.database(), settings, patient=True) as connection:
        if not await waits(connection):
            return None
        await connection.execute(ORDER)
    pool = await open_pool(settings)
    try:
        async with pool.acquire() as connection:
            carried = await _carry(connection, settings)
            await connection.execute(DONE)
            return carried
    finally:
        await pool.close()


async def _carry(connection: asyncpg.Connection, settings: Settings) -> Carried:
    layout = await detect(connection)
    recorder = Recorder(settings.rollup_dimensions)
    days = settings.retention_days
    horizon = datetime.now(UTC) - timedelta(days=days) if days else START[0]
    outcome, expired = Outcome(), 0
    async for events in _slices(connection):
        timestamps = [event.timestamp for event in events]
        await layout.make_room(connection, timestamps, settings)
        job = Job(f"guide.{uuid4().hex}", events)
        written = await transaction.store(connection, [job], recorder, careful=True)
        outcome = _sum(outcome, written.outcomes[0])
        expired += sum(timestamp < horizon for timestamp in timestamps)
    return Carried(outcome, expired, await _unreadable(connection))


async def _unreadable(connection: asyncpg.Connection) -> Unreadable:
    found = await connection.fetch(UNREADABLE, SHOWN_UNREADABLE)
    first = [f"{row['id']} at {row['timestamp']}" for row in found]
    return Unreadable(found[0]["rows"], first) if found else Unreadable()


def _sum(one: Outcome, other: Outcome) -> Outcome:
    return Outcome(*map(sum, zip(astuple(one), astuple(other), strict=True)))


async def _slices(connection: asyncpg.Connection) -> AsyncIterator[list[Event]]:
    """The table's events in the order of time."""
    place = START
    while rows := await connection.fetch(ROWS, *place, SLICE_ROWS, SLICE_BYTES):
        yield [Event(DEFAULT_PROJECT, **row) for row in rows]
        place = (rows[-1]["timestamp"], rows[-1]["id"])
