"""The stores' advisory locks: their numbers, and how to hold one beyond a transaction.

The numbers stand in one place, so that none is used twice.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg

MIGRATION = 4001_0001
"""Held by the one migrator that runs. alembic/env.py takes it, and repeats the number."""

LEDGER_TURN = 4001_0002
"""Held shared by every storing transaction, exclusively while the ledger turns or people go."""

PARTITIONS = 4001_0003
"""Held while partitions are made, so that two processors do not make the same one."""

UPKEEP = 4001_0004
"""Held by the one processor that does upkeep."""

COMPACTION = 4001_0005
"""Held by the one processor or command that changes rows of `rollups`."""


@contextlib.asynccontextmanager
async def try_alone(connection: asyncpg.Connection, lock: int) -> AsyncIterator[bool]:
    """Hold a lock if it is free; yields whether we hold it."""
    with _ended_in_doubt(connection):
        mine: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock)
    try:
        yield mine
    finally:
        if mine:
            await _unlock(connection, lock)


@contextlib.asynccontextmanager
async def alone(connection: asyncpg.Connection, lock: int) -> AsyncIterator[None]:
    """Wait for a lock and hold it.

    Take it before the snapshot, which then shows what the last holder committed.
    """
    with _ended_in_doubt(connection):
        await connection.execute("SELECT pg_advisory_lock($1)", lock)
    try:
        yield
    finally:
        await _unlock(connection, lock)


async def _unlock(connection: asyncpg.Connection, lock: int) -> None:
    with _ended_in_doubt(connection):
        await connection.execute("SELECT pg_advisory_unlock($1)", lock)


@contextlib.contextmanager
def _ended_in_doubt(connection: asyncpg.Connection) -> Iterator[None]:
    """End the session when an error or a cancellation interrupts taking or releasing a lock.

    We cannot know then whether the server has done it. An advisory lock outlives its statement and
    a rollback, so a session that stays in a pool might hold it for days.
    """
    try:
        yield
    except BaseException:
        connection.terminate()
        raise
