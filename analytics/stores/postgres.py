"""The store on PostgreSQL, with or without TimescaleDB: commit jobs, keep the tables in order, say
whether all is well.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import asyncpg

from analytics import metrics
from analytics.derived.deltas import Dimensions
from analytics.errors import TransientStoreError, Unavailable
from analytics.events import Job
from analytics.settings import Settings
from analytics.stores import schema
from analytics.stores.connections import ACQUIRE, TRANSACTION, open_pool
from analytics.stores.faults import Verdict, describe, judge, transient
from analytics.stores.layouts.layout import Layout, detect
from analytics.stores.locks import COMPACTION, UPKEEP, alone, try_alone
from analytics.stores.upkeep import compaction, coverage, packing, rebuild
from analytics.stores.upkeep.compactor import Compactor
from analytics.stores.writing import dead_letters, ledger, stored_jobs, transaction
from analytics.stores.writing.recorder import Recorder
from analytics.stores.writing.transaction import Written

ATTEMPTS = 6
"""Transactions that one write may take: without care, with new partitions, with care, after a
change of the schema, after a twin's commit.
"""

CHECK_SECONDS = 3.0


class PostgresStore:
    """Use `open`; every method may be called from several tasks at once."""

    def __init__(self, pool: asyncpg.Pool, layout: Layout, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._recorder = Recorder(settings.rollup_dimensions)
        self.layout = layout
        self.compactor = Compactor(self.compact)
        self.dead_letters = dead_letters.DeadLetters(pool)

    @classmethod
    async def open(cls, settings: Settings) -> "PostgresStore":
        """Connect and find out the layout. Raises TransientStoreError while the database is down or
        not migrated.
        """
        pool = await open_pool(settings)
        try:
            async with pool.acquire(timeout=settings.job_timeout * ACQUIRE) as connection:
                return cls(pool, await detect(connection), settings)
        except BaseException as error:
            pool.terminate()
            if isinstance(error, TransientStoreError) or not isinstance(error, Exception):
                raise
            raise transient(error) from error

    async def close(self) -> None:
        """End the connections; those that do not end by themselves in time are cut."""
        try:
            await asyncio.wait_for(self._pool.close(), self._settings.job_timeout * ACQUIRE)
        except TimeoutError:
            self._pool.terminate()

    async def write(self, jobs: Sequence[Job]) -> Written:
        """Store jobs, all in one transaction. Raises TransientStoreError when they are to be tried
        again; then nothing has changed.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.job_timeout * TRANSACTION):
                written = await self._write(jobs)
        except TimeoutError as error:
            raise transient(error) from error
        self.compactor.stored(len(written.stored))
        metrics.transaction_size.observe({}, sum(len(job.events) for job in jobs))
        metrics.processing_duration.observe({}, time.perf_counter() - began)
        return written

    async def _write(self, jobs: Sequence[Job]) -> Written:
        """Try without care, which is quick, and answer an error with what it asks for."""
        roomy = careful = False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._connection() as connection:
                    if roomy:
                        await self.layout.make_room(
                            connection,
                            [event.timestamp for job in jobs for event in job.events],
                            self._settings,
                        )
                    return await transaction.store(
                        connection, jobs, self._recorder, careful=careful
                    )
            except Exception as error:
                verdict = judge(error)
                if verdict is Verdict.NO_PARTITION and not roomy:
                    roomy = True
                elif (
                    verdict in (Verdict.NO_PARTITION, Verdict.POISON, Verdict.TWIN) and not careful
                ):
                    roomy = careful = True
                elif verdict not in (Verdict.STALE, Verdict.TWIN) or attempt == ATTEMPTS:
                    raise transient(error) from error
        raise AssertionError

    async def bury(self, job_id: str, n: int, body: bytes, reason: str, message: str) -> None:
        """Make one dead letter of a job of `n` events that nobody can read; repeated, it changes
        nothing. Raises TransientStoreError.
        """
        values = (
            dead_letters.clean(job_id, 1000),
            n,
            dead_letters.clean(reason, 64),
            dead_letters.clean(message, dead_letters.MESSAGE_LENGTH),
            body,
        )
        async with self._work() as connection:
            await connection.execute(dead_letters.BURY, *values)

    async def sweep(self, waiting: Callable[[list[str]], Awaitable[set[str]]]) -> None:
        """Forget the recorded jobs of which `waiting`, given their ids, does not return that the
        queue still holds them.
        """
        async with self._work() as connection:
            await stored_jobs.sweep(connection, waiting, self._settings)

    async def maintain(self) -> None:
        """Partitions, policies and the ledger's turn, unless another processor is at it. Raises
        TransientStoreError.
        """
        async with self._work() as connection, try_alone(connection, UPKEEP) as mine:
            if mine:
                await self._forget(connection)
                await self.layout.maintain(connection, self._settings)
                await ledger.turn(connection, self._settings)
                await self._tend(connection)

    async def _forget(self, connection: asyncpg.Connection) -> None:
        """Let rollups go before the raw rows that they were made from, so that no answer is made of
        what is no longer there.
        """
        horizon = await self.layout.horizon(connection, self._settings)
        if horizon is not None:
            async with alone(connection, COMPACTION):
                await coverage.forget(connection, horizon)

    async def _tend(self, connection: asyncpg.Connection) -> None:
        """Bring rollups of what is over to few rows, read again what somebody changed without a
        delta, and pack days that are over.
        """
        more = True
        while more:
            async with alone(connection, COMPACTION):
                more = await compaction.settle(connection)
        await rebuild.heal(connection, Dimensions(self._settings.rollup_dimensions))
        await packing.pack_days(connection)

    async def compact(self) -> int:
        """Take up deltas, unless another processor is at it; how many events they were. Raises
        TransientStoreError.
        """
        async with self._work() as connection, try_alone(connection, COMPACTION) as mine:
            return await compaction.compact(connection) if mine else 0

    async def check(self) -> str:
        """ok, or Unavailable with the reason: the database does not answer, or its schema is older
        than this release.
        """
        try:
            async with asyncio.timeout(CHECK_SECONDS), self._connection() as connection:
                found = await schema.version(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(f"the database does not answer: {describe(error)}") from error
        wanted = schema.head()
        if found is None or found < wanted:
            raise Unavailable(
                f"the schema is at {found or 'nothing'} and this release needs {wanted}: run `analytics migrate`"
            )
        return "ok"

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._pool.acquire(timeout=self._settings.job_timeout * ACQUIRE) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _work(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for work that is simply done again some other time when it fails."""
        try:
            async with self._connection() as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise transient(error) from error
