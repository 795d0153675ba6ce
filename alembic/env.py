"""How Alembic reaches the database: over asyncpg, one migrator at a time."""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from analytics import settings, tables

LOCK = 4001_0001
"""The advisory lock of the one migrator that runs; `analytics.stores.locks` lists all numbers."""

WAIT = "10min"
"""How long to wait for another migrator."""

PATIENCE = "10s"
"""How long one statement may wait for a table in use; all later queries on it wait meanwhile."""


def database() -> str:
    """The URL of the database: that of `analytics migrate`, else DATABASE_URL."""
    return str(context.config.attributes.get("url") or settings.load().database())


def upgrade(connection: Connection) -> None:
    """Run the missing migrations in one transaction, under a lock that ends with it."""
    context.configure(connection=connection, target_metadata=tables.metadata)
    with context.begin_transaction():
        connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
        context.config.attributes["before"] = context.get_context().get_current_revision()
        context.run_migrations()


async def run() -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(database()),
        poolclass=pool.NullPool,
    )
    async with engine.connect() as connection:
        await connection.run_sync(upgrade)
        await connection.commit()
    await engine.dispose()


asyncio.run(run())
