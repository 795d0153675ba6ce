"""The second half of an event's way, from the queue to the store and to realtime.

Batch → store (rows, rollups and dead letters in one transaction) → publish after the commit.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.datastructures import State

from analytics import live, metrics, projects
from analytics.epoch import Mark
from analytics.errors import AnalyticsError, TransientStoreError, Unavailable
from analytics.events import Job, Outcome
from analytics.queue import Queue, Worker
from analytics.redis import Cron, connect, mirror
from analytics.roles.http.health import check_queue
from analytics.roles.http.role import Role
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.tasks import end

log = logging.getLogger(__name__)

MAINTAIN_SECONDS = 600
SWEEP_SECONDS = 60
MIRROR_SECONDS = 30
ANALYZE_SECONDS = 15
EPOCH_SECONDS = 10
OPEN_RETRY_SECONDS = 5.0


class Processor:
    """The worker, and the store that it writes to."""

    def __init__(self, redis: Redis, queue: Queue, settings: Settings) -> None:
        self.redis = redis
        self.queue = queue
        self.settings = settings
        self.engine = projects.open_engine(settings.database())
        self._store: PostgresStore | None = None

    @property
    def store(self) -> PostgresStore:
        """The open store. Raises Unavailable until the database has answered once."""
        if self._store is None:
            raise Unavailable("the database has not answered yet")
        return self._store

    async def run(self, stop: asyncio.Event) -> None:
        """Store what the queue holds until `stop`; first wait until the database answers."""
        self._store = await self._open(stop)
        if self._store is None:
            return
        crons = (
            Cron("maintain", MAINTAIN_SECONDS, self._store.maintain),
            Cron("sweep", SWEEP_SECONDS, self._sweep),
            Cron("analyze", ANALYZE_SECONDS, self._store.analyze),
            Cron("mirror", MIRROR_SECONDS, self._mirror),
        )
        background = [
            asyncio.create_task(self._store.compactor.run(), name="compaction"),
            asyncio.create_task(self._keep_epoch(), name="epoch"),
        ]
        try:
            worker = Worker(
                self.redis,
                self.settings,
                store=self.write,
                bury=self._store.bury,
                recorded=self._store.recorded,
                crons=crons,
            )
            await worker.run(stop)
        finally:
            await end(background)
            await self._store.close()

    async def write(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Commit jobs, then publish their new events: no duplicates, no dead letters."""
        written = await self.store.write(jobs)
        await live.publish(self.redis, written.stored)
        return written.outcomes

    async def _open(self, stop: asyncio.Event) -> PostgresStore | None:
        while not stop.is_set():
            try:
                return await PostgresStore.open(self.settings)
            except TransientStoreError as error:
                log.warning("waiting for the database: %s", error)
            try:
                async with asyncio.timeout(OPEN_RETRY_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
        return None

    async def _sweep(self) -> None:
        await self.store.sweep(self.queue.waiting)

    async def _mirror(self) -> None:
        await mirror(self.engine, self.redis)

    async def _keep_epoch(self) -> None:
        """Compare PostgreSQL and Redis again and again. Every processor does, for its gauge."""
        while True:
            try:
                row = await self.store.compare_epoch(self._look, self.queue.put_mark)
                since = row.lost_from
                metrics.lost_since.set({}, since.timestamp() if since else 0)
            except (AnalyticsError, OSError) as error:  # TimeoutError among them
                log.warning("PostgreSQL and Redis are not compared: %r", error)
            except Exception:  # whatever it is, the next comparison is the next try
                log.exception("PostgreSQL and Redis are not compared")
            await asyncio.sleep(EPOCH_SECONDS)

    async def _look(self) -> tuple[Mark | None, datetime]:
        horizon = await self.queue.horizon()
        return horizon.mark, horizon.watermark


async def _check_database(state: State) -> str:
    processor: Processor = state.processor
    return await processor.store.check()


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    redis = connect(settings)
    app.state.queue = Queue(redis, settings)
    app.state.processor = Processor(redis, app.state.queue, settings)
    stop = asyncio.Event()

    def ended(_: asyncio.Task[None]) -> None:
        if not stop.is_set():  # a processor whose worker is dead must not look alive
            signal.raise_signal(signal.SIGTERM)

    work = asyncio.create_task(app.state.processor.run(stop), name="processor")
    work.add_done_callback(ended)
    try:
        yield
    finally:
        stop.set()
        try:
            await work
        finally:
            await redis.aclose()


ROLE = Role(
    name="processor",
    lifespan=_lifespan,
    checks={"redis": check_queue, "database": _check_database},
)
create = ROLE.create
