"""TimescaleDB: chunks come by themselves; what goes is up to policies, or to us where the licence
has none.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from analytics.settings import Settings

ENDS = """
SELECT range_end FROM timescaledb_information.chunks
WHERE hypertable_name = 'raw_events' AND hypertable_schema = current_schema() AND range_end <= now() - $1::interval ORDER BY range_end
"""

DROP = "SELECT drop_chunks('raw_events', older_than => $1::timestamptz)"

SPAN = "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = 'raw_events' AND hypertable_schema = current_schema()"

POLICIES = """
SELECT proc_name, coalesce(config ->> 'drop_after', config ->> 'compress_after')::interval AS after
FROM timescaledb_information.jobs
WHERE hypertable_name = 'raw_events' AND hypertable_schema = current_schema() AND proc_name IN ('policy_retention', 'policy_compression')
"""


EXPIRED = """
SELECT max(range_end) FROM timescaledb_information.chunks
WHERE hypertable_name = 'raw_events' AND hypertable_schema = current_schema() AND range_end <= now() - $1::interval + INTERVAL '1 day'
"""
"""A day early, because the policy does not wait for us."""


class Chunks:
    """What both licences have in common."""

    async def make_room(
        self, connection: asyncpg.Connection, timestamps: Sequence[datetime], settings: Settings
    ) -> None:
        """Nothing to do: inserting makes chunks."""

    async def horizon(self, connection: asyncpg.Connection, settings: Settings) -> datetime | None:
        """The end of the last chunk that will be dropped within a day."""
        if not settings.retention_days:
            return None
        end: datetime | None = await connection.fetchval(
            EXPIRED, timedelta(days=settings.retention_days)
        )
        return end


async def _set_span(connection: asyncpg.Connection, settings: Settings) -> None:
    """What chunks to come hold; those that are there stay as they are."""
    span = timedelta(days=30 if settings.monthly else 7)
    if await connection.fetchval(SPAN) != span:
        await connection.execute("SELECT set_chunk_time_interval('raw_events', $1::interval)", span)


class TimescaleApache(Chunks):
    """The layout `timescale-apache`: a hypertable without policies; its old chunks are dropped
    here.
    """

    name = "timescale-apache"

    async def maintain(self, connection: asyncpg.Connection, settings: Settings) -> None:
        """Drop the chunks that ended before the retention horizon, one at a time so that no
        statement takes long.
        """
        await _set_span(connection, settings)
        if settings.retention_days:
            for row in await connection.fetch(ENDS, timedelta(days=settings.retention_days)):
                await connection.execute(DROP, row["range_end"])


class TimescaleCommunity(Chunks):
    """The layout `timescale`: a hypertable whose policies drop old chunks and turn settled ones
    into columns.
    """

    name = "timescale"

    async def maintain(self, connection: asyncpg.Connection, settings: Settings) -> None:
        """Make both policies say what the settings say.

        Chunks become columns once they are older than the ledger's window, the lateness that we
        plan for: rows that come later still are stored, but part of the chunk must be unpacked for
        them.
        """
        async with connection.transaction():
            await _set_span(connection, settings)
            there = {row["proc_name"]: row["after"] for row in await connection.fetch(POLICIES)}
            retention = timedelta(days=settings.retention_days) or None
            if there.get("policy_retention") != retention:
                await connection.execute(
                    "SELECT remove_retention_policy('raw_events', if_exists => true)"
                )
                if retention:
                    await connection.execute(
                        "SELECT add_retention_policy('raw_events', drop_after => $1::interval)",
                        retention,
                    )
            lateness = timedelta(days=settings.ledger_days)
            if there.get("policy_compression") != lateness:
                await connection.execute(
                    "CALL remove_columnstore_policy('raw_events', if_exists => true)"
                )
                await connection.execute(
                    f"CALL add_columnstore_policy('raw_events', after => INTERVAL '{settings.ledger_days} days')"
                )
