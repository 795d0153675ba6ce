"""Connections to PostgreSQL whose every wait is bounded, well below JOB_TIMEOUT."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from analytics.settings import Settings

ACQUIRE = 1 / 6
LOCK = 1 / 3
STATEMENT = 1 / 2
COMMAND = 2 / 3
TRANSACTION = 9 / 10
"""Shares of JOB_TIMEOUT that each wait may take.

For a connection; for a lock; for a statement, by the server's clock and by ours; for the whole
transaction.
"""

WRITING = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "timescaledb.max_tuples_decompressed_per_dml_transaction": "0",
}
"""Settings of a session that stores events.

Plans use the indexes, even where a table was empty when the plan was made. And late rows may go
into compressed chunks of TimescaleDB without limit; a database without TimescaleDB takes that name
for a setting of the application.
"""


NO_LIMITS = """
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0
"""


def options(settings: Settings) -> dict[str, object]:
    """The arguments that open every connection.

    The last server setting frees the locks of a processor that froze within a transaction.
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
    """One connection, closed at the end. A patient one has no limit for a statement or a lock."""
    unlimited = {"command_timeout": None} if patient else {}
    connection = await asyncpg.connect(database_url, **options(settings) | unlimited)
    try:
        if patient:
            await connection.execute(NO_LIMITS)
        yield connection
    finally:
        await connection.close()


async def open_pool(settings: Settings) -> asyncpg.Pool:
    """A pool of CONCURRENCY connections for writing, one for upkeep and one for health checks.

    Connections are opened when they are needed.
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
    """Set up a new session: WRITING, and a binary codec for jsonb, which COPY needs.

    The binary form of jsonb is one version byte and then the text.
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
    """Skip the reset between uses, which costs a round trip.

    Nothing that we set outlives its transaction.
    """
