"""The store on PostgreSQL, with or without TimescaleDB: commit jobs, do upkeep, check health."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import asyncpg

from analytics import metrics
from analytics.connection_errors import CONNECTION_ERRORS
from analytics.derived.deltas import Dimensions
from analytics.epoch import Epoch
from analytics.errors import TransientStoreError, Unavailable
from analytics.events import Job, Outcome
from analytics.settings import Settings
from analytics.stores import schema
from analytics.stores.connections import ACQUIRE, TRANSACTION, open_pool
from analytics.stores.faults import FaultKind, classify, describe, transient
from analytics.stores.layouts.layout import Layout, detect
from analytics.stores.locks import COMPACTION, UPKEEP, alone, try_alone
from analytics.stores.upkeep import (
    compaction,
    coverage,
    epoch,
    merger,
    packer,
    pruning,
    rebuild,
    statistics,
)
from analytics.stores.upkeep.compactor import Compactor
from analytics.stores.writing import dead_letters, ledger, stored_jobs, transaction
from analytics.stores.writing.recorder import Recorder
from analytics.stores.writing.transaction import Written

ATTEMPTS = 6
"""The most transactions that one write may take.

One without care, then again with new partitions, with care, after a change of the schema, and after
another worker has committed the same rows.
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
        """Connect, and detect the layout.

        Raises TransientStoreError while the database is down or not migrated.
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
        """Close the connections; cut those that do not close in time."""
        try:
            async with asyncio.timeout(self._settings.job_timeout * ACQUIRE):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def write(self, jobs: Sequence[Job]) -> Written:
        """Store jobs, all in one transaction.

        Raises TransientStoreError when they are to be tried again; nothing has changed then.
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
        """Try without care, which is fast, then again with what the error calls for."""
        roomy = careful = False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._connection() as connection:
                    if roomy:
                        timestamps = [event.timestamp for job in jobs for event in job.events]
                        await self.layout.make_room(connection, timestamps, self._settings)
                    return await transaction.store(
                        connection, jobs, self._recorder, careful=careful
                    )
            except Exception as error:
                fault = classify(error)
                if fault is FaultKind.NO_PARTITION and not roomy:
                    roomy = True
                elif (
                    fault in (FaultKind.NO_PARTITION, FaultKind.POISON, FaultKind.TWIN)
                    and not careful
                ):
                    roomy = careful = True
                elif fault not in (FaultKind.STALE, FaultKind.TWIN) or attempt == ATTEMPTS:
                    raise transient(error) from error
        raise AssertionError

    async def bury(self, job_id: str, events: int, body: bytes, reason: str, message: str) -> None:
        """Make one dead letter of a job of so many events that cannot be read.

        Repeated, it changes nothing. Raises TransientStoreError.
        """
        async with self._retryable() as connection:
            await dead_letters.bury(connection, job_id, events, body, reason, message)

    async def recorded(self, job_id: str) -> Outcome | None:
        """The outcome of a job, once no transaction has it any more; None if it is not stored.

        Raises TransientStoreError.
        """
        async with self._retryable() as connection:
            return await stored_jobs.settled(connection, dead_letters.clean_id(job_id))

    async def sweep(self, waiting: Callable[[list[str]], Awaitable[set[str]]]) -> None:
        """Forget the outcomes of jobs that the queue no longer holds.

        `waiting` returns which of some job ids the queue still holds. Raises TransientStoreError.
        """
        async with self._retryable() as connection:
            await stored_jobs.sweep(connection, waiting, self._settings)

    async def maintain(self) -> None:
        """Do the periodic upkeep, unless another processor is doing it.

        Partitions, policies, the ledger's turn, derived data. Raises TransientStoreError.
        """
        async with self._retryable() as connection, try_alone(connection, UPKEEP) as mine:
            if mine:
                await self._forget(connection)
                await self.layout.maintain(connection, self._settings)
                await ledger.turn(connection, self._settings)
                await statistics.refresh(connection)
                await self._maintain_derived(connection)
                await pruning.prune(connection)

    async def _forget(self, connection: asyncpg.Connection) -> None:
        """Delete derived data before the raw rows that it was made from.

        So no answer includes events that no longer exist.
        """
        horizon = await self.layout.horizon(connection, self._settings)
        if horizon is not None:
            async with alone(connection, COMPACTION):
                await coverage.forget(connection, horizon)

    async def _maintain_derived(self, connection: asyncpg.Connection) -> None:
        """Merge rollups of hours and days that are over, rebuild changed days, pack days."""
        more = True
        while more:
            async with alone(connection, COMPACTION):
                more = await merger.merge_ended(connection)
        await rebuild.heal(connection, Dimensions(self._settings.rollup_dimensions))
        await packer.pack_days(connection)
        metrics.nameless_days.set({}, await connection.fetchval(coverage.COUNT_NAMELESS))

    async def compact(self) -> int:
        """Compact deltas, unless another processor is doing it; returns how many events.

        Raises TransientStoreError.
        """
        async with self._retryable() as connection, try_alone(connection, COMPACTION) as mine:
            return await compaction.compact(connection) if mine else 0

    async def compare_epoch(self, look: epoch.Look, put: epoch.Put) -> Epoch:
        """Compare with Redis what both stores hold; see `epoch.compare`.

        Raises TransientStoreError, and what `look` and `put` raise.
        """
        async with self._retryable() as connection:
            return await epoch.compare(connection, look, put)

    async def analyze(self) -> None:
        """Renew the statistics of tables that changed much. Raises TransientStoreError."""
        async with self._retryable() as connection:
            await statistics.refresh(connection)

    async def check(self) -> str:
        """`ok`. Raises Unavailable: the database does not answer, or its schema is too old."""
        try:
            async with asyncio.timeout(CHECK_SECONDS), self._connection() as connection:
                version = await schema.version(connection)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            raise Unavailable(f"the database does not answer: {describe(error)}") from error
        schema.require(version)
        return "ok"

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._pool.acquire(timeout=self._settings.job_timeout * ACQUIRE) as connection:
            try:
                yield connection
            except asyncpg.InternalClientError:  # whoever gets it next would meet the same
                connection.terminate()
                raise

    @contextlib.asynccontextmanager
    async def _retryable(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for work that is simply tried again later when it fails."""
        try:
            async with self._connection() as connection:
                yield connection
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            raise transient(error) from error
