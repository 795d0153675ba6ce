"""What the doctor says of PostgreSQL: whether it answers, its tables, and whether it is durable."""

from collections.abc import AsyncIterator

import asyncpg

from analytics.commands.finding import BAD, GOOD, ODD, Finding
from analytics.connection_errors import CONNECTION_ERRORS
from analytics.errors import TransientStoreError
from analytics.settings import Settings
from analytics.stores import connections, guide
from analytics.stores.faults import describe
from analytics.stores.layouts.layout import detect
from analytics.stores.schema import head, version

VERSIONS = range(15, 19)
"""Major versions of PostgreSQL that are supported."""

ACTIVE_KEYS = (
    "SELECT count(*) FROM api_keys WHERE NOT revoked AND (expires_at IS NULL OR expires_at > now())"
)
NOT_DURABLE = (
    "SELECT name FROM pg_settings"
    " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'"
)


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """The server at DATABASE_URL, and the tables in it."""
    try:
        async with connections.connect(settings.database(), settings) as connection:
            async for finding in _server(connection):
                yield finding
            async for finding in _schema(connection):
                yield finding
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, ValueError) as error:
        yield Finding(BAD, "PostgreSQL", f"{describe(error)}; start it, or correct DATABASE_URL")


async def replica(settings: Settings, url: str) -> Finding:
    """Whether the server at a URL is a replica that answers."""
    try:
        async with connections.connect(url, settings) as connection:
            if await connection.fetchval("SELECT pg_is_in_recovery()"):
                return Finding(GOOD, "replica", "answers, and follows a primary")
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, ValueError) as error:
        text = f"{describe(error)}; start it, or unset DATABASE_REPLICA_URL"
        return Finding(BAD, "replica", text)
    text = (
        "the server at DATABASE_REPLICA_URL is not a replica, so answers would have no "
        "watermark; unset it"
    )
    return Finding(BAD, "replica", text)


async def _server(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    number = await connection.fetchval("SHOW server_version")
    known = connection.get_server_version().major in VERSIONS
    hint = "" if known else f"; supported are {VERSIONS[0]} to {VERSIONS[-1]}"
    yield Finding(GOOD if known else ODD, "PostgreSQL", f"{number} answers{hint}")
    extension = await connection.fetchval(
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    )
    if extension:
        licence = await connection.fetchval("SELECT current_setting('timescaledb.license', true)")
        yield Finding(GOOD, "TimescaleDB", f"{extension}, licence {licence}")
    else:
        yield Finding(GOOD, "TimescaleDB", "is not installed: native partitions are used")
    for (name,) in await connection.fetch(NOT_DURABLE):
        text = (
            f"PostgreSQL's {name} is off: a crash may lose stored events; "
            f"ALTER SYSTEM SET {name} = on"
        )
        yield Finding(ODD, "durability", text)


async def _schema(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    at, newest = await version(connection), head()
    if at is None or at < newest:
        text = f"are at {at or 'nothing'}, this release needs {newest}; run `analytics migrate`"
        yield Finding(BAD, "tables", text)
        return
    if at > newest:
        text = (
            f"are at {at}, newer than this release knows ({newest}); "
            "deploy the release that made them"
        )
        yield Finding(ODD, "tables", text)
    try:
        yield Finding(GOOD, "tables", f"are at {at}, layout {(await detect(connection)).name}")
    except TransientStoreError as error:
        yield Finding(BAD, "tables", error.message)
    if await guide.waits(connection):
        text = "raw_events_guide holds events that are not carried over; run `analytics migrate`"
        yield Finding(BAD, "tables", text)
    keys = await connection.fetchval(ACTIVE_KEYS)
    text = (
        f"{keys} in the database"
        if keys
        else "none in the database; `analytics keys create` makes one"
    )
    yield Finding(GOOD, "keys", text)
