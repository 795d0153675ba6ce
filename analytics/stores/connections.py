"""Connections to PostgreSQL whose every wait is bounded, well below the time that a job may take."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from analytics.settings import Settings

ACQUIRE = 1 / 6
LOCK = 1 / 3
STATEMENT = 1 / 2
COMMAND = 2 / 3
TRANSACTION = 9 / 10
"""Shares of JOB_TIMEOUT: for a connection, a lock, a statement by the server's clock and by ours,
and for all of it together.
"""


WRITING = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "timescaledb.max_tuples_decompressed_per_dml_transaction": "0",
}
"""What a storing session sets: plans that use the keys, even those of a table that was empty when
it was planned for; no limit to rows that come late, into chunks that are columns already (other
databases take the name for a setting of the application's own).
"""


def options(settings: Settings) -> dict[str, object]:
    """What every connection is opened with. The last server setting frees the locks of a processor
    that froze in mid-transaction.
    """
    return {
        "timeout": settings.job_timeout * ACQUIRE,
        "command_timeout": settings.job_timeout * COMMAND,
        "server_settings": {
            "application_name": "analytics",
            "timezone": "UTC",
            "lock_timeout": _milliseconds(settings.job_timeout * LOCK),
            "statement_timeout": _milliseconds(settings.job_timeout * STATEMENT),
            "idle_in_transaction_session_timeout": _milliseconds(settings.job_timeout),
        },
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


@contextlib.asynccontextmanager
async def connect(
    database_url: str, settings: Settings, *, patient: bool = False
) -> AsyncIterator[asyncpg.Connection]:
    """One connection, closed at the end; a patient one lets a statement take as long as it takes."""
    connection = await asyncpg.connect(
        database_url, **options(settings) | ({"command_timeout": None} if patient else {})
    )
    try:
        if patient:
            await connection.execute(
                "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0"
            )
        yield connection
    finally:
        await connection.close()


async def open_pool(settings: Settings) -> asyncpg.Pool:
    """CONCURRENCY connections to write with, one for upkeep and one for health, opened when they
    are needed.
    """
    return await asyncpg.create_pool(
        settings.database(),
        min_size=0,
        max_size=settings.concurrency + 2,
        init=_prepare,
        reset=_keep_session,
        **options(settings),
    )


async def _prepare(connection: asyncpg.Connection) -> None:
    """Send jsonb as COPY needs it: one version byte, then the text. Look rows up by index only,
    whatever the statistics say of tables that fill fast.
    """
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=_json_with_version,
        decoder=_json_without_version,
        format="binary",
    )
    for name, value in WRITING.items():
        await connection.execute("SELECT set_config($1, $2, false)", name, value)


def _json_with_version(text: bytes) -> bytes:
    return b"\x01" + text


def _json_without_version(data: bytes) -> bytes:
    return data[1:]


async def _keep_session(_: asyncpg.Connection) -> None:
    """No reset between uses, which would be one more round trip: nothing here outlives its
    transaction.
    """
