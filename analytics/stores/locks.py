"""The numbers of the stores' advisory locks, in one place so that none is taken twice, and how one
is held beyond a transaction.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg

MIGRATION = 4001_0001
"""Held by the one migrator that runs; alembic/env.py, which imports nothing of this, takes it."""

LEDGER_TURN = 4001_0002
"""Shared by every storing transaction, exclusive while the ledger turns."""

PARTITIONS = 4001_0003
"""Held while a partition is made, so that two processors do not make the same one."""

UPKEEP = 4001_0004
"""Held by the one processor that maintains."""

COMPACTION = 4001_0005
"""Held by whoever changes rows of `rollups`: the one processor that compacts, or a rebuild."""


@contextlib.asynccontextmanager
async def try_alone(connection: asyncpg.Connection, lock: int) -> AsyncIterator[bool]:
    """Hold a lock if nobody else does; whether we do."""
    with _ended_in_doubt(connection):
        mine: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock)
    try:
        yield mine
    finally:
        if mine:
            await _unlock(connection, lock)


@contextlib.asynccontextmanager
async def alone(connection: asyncpg.Connection, lock: int) -> AsyncIterator[None]:
    """Wait for a lock and hold it; to be taken before a snapshot that must show what its last
    holder left.
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
    """End a session that broke off, by cancellation or by an error, while it took or gave back a
    lock.

    Nobody here knows whether the server had done it already, a lock outlives the statement that
    took it and is not lost by a rollback, and a session that a pool keeps would hold it for days.
    """
    try:
        yield
    except BaseException:
        connection.terminate()
        raise
