"""TimescaleDB: inserting makes chunks; policies drop them, or we do where the licence has none."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from analytics.settings import Settings

OURS = "hypertable_name = 'raw_events' AND hypertable_schema = current_schema()"

ENDS = f"""
SELECT range_end FROM timescaledb_information.chunks
WHERE {OURS} AND range_end <= now() - $1::interval ORDER BY range_end
"""  # noqa: S608 - only our own constants

DROP = "SELECT drop_chunks('raw_events', older_than => $1::timestamptz)"

SPAN = f"SELECT time_interval FROM timescaledb_information.dimensions WHERE {OURS}"  # noqa: S608 - only our own constants

POLICIES = f"""
SELECT proc_name, coalesce(config ->> 'drop_after', config ->> 'compress_after')::interval AS after
FROM timescaledb_information.jobs
WHERE {OURS} AND proc_name IN ('policy_retention', 'policy_compression')
"""  # noqa: S608 - only our own constants

EXPIRED = f"""
SELECT max(range_end) FROM timescaledb_information.chunks
WHERE {OURS} AND range_end <= now() - $1::interval + INTERVAL '1 day'
"""  # noqa: S608 - only our own constants
"""One day early, because the policy does not wait for us."""

REMOVE_RETENTION = "SELECT remove_retention_policy('raw_events', if_exists => true)"
ADD_RETENTION = "SELECT add_retention_policy('raw_events', drop_after => $1::interval)"
REMOVE_COLUMNSTORE = "CALL remove_columnstore_policy('raw_events', if_exists => true)"
ADD_COLUMNSTORE = "CALL add_columnstore_policy('raw_events', after => INTERVAL '{days} days')"
"""A template: `days` is a whole number of our settings."""


class Chunks:
    """What TimescaleDB has in common under both licences."""

    async def make_room(
        self, connection: asyncpg.Connection, timestamps: Sequence[datetime], settings: Settings
    ) -> None:
        """Do nothing: inserting makes chunks."""

    async def horizon(self, connection: asyncpg.Connection, settings: Settings) -> datetime | None:
        """The end of the last chunk that will be dropped within a day."""
        if not settings.retention_days:
            return None
        end: datetime | None = await connection.fetchval(
            EXPIRED, timedelta(days=settings.retention_days)
        )
        return end


async def _set_span(connection: asyncpg.Connection, settings: Settings) -> None:
    """Set the span of new chunks; existing chunks stay as they are."""
    span = timedelta(days=30 if settings.monthly else 7)
    if await connection.fetchval(SPAN) != span:
        await connection.execute("SELECT set_chunk_time_interval('raw_events', $1::interval)", span)


class TimescaleApache(Chunks):
    """The layout `timescale-apache`: a hypertable without policies; we drop its old chunks."""

    name = "timescale-apache"

    async def maintain(self, connection: asyncpg.Connection, settings: Settings) -> None:
        """Drop the chunks older than RETENTION_DAYS, one at a time so that no statement is long."""
        await _set_span(connection, settings)
        if settings.retention_days:
            for row in await connection.fetch(ENDS, timedelta(days=settings.retention_days)):
                await connection.execute(DROP, row["range_end"])


class TimescaleCommunity(Chunks):
    """The layout `timescale`: a hypertable whose policies drop and compress old chunks."""

    name = "timescale"

    async def maintain(self, connection: asyncpg.Connection, settings: Settings) -> None:
        """Bring both policies in line with the settings.

        Chunks are compressed into columns once they are older than LEDGER_DAYS, the lateness that
        we plan for. Later rows are stored too, but part of the chunk must be unpacked for them.
        """
        async with connection.transaction():
            await _set_span(connection, settings)
            current = {row["proc_name"]: row["after"] for row in await connection.fetch(POLICIES)}
            retention = timedelta(days=settings.retention_days) or None
            if current.get("policy_retention") != retention:
                await connection.execute(REMOVE_RETENTION)
                if retention:
                    await connection.execute(ADD_RETENTION, retention)
            lateness = timedelta(days=settings.ledger_days)
            if current.get("policy_compression") != lateness:
                await connection.execute(REMOVE_COLUMNSTORE)
                await connection.execute(ADD_COLUMNSTORE.format(days=settings.ledger_days))
