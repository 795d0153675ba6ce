"""The second half of an event's way: batch → store (rows, rollups, dead letters in one transaction)
→ publish after commit.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.datastructures import State

from analytics import live, projects, settings
from analytics.errors import TransientStoreError, Unavailable
from analytics.events import Job, Outcome
from analytics.queue import Queue, Worker
from analytics.redis import Cron, connect, mirror
from analytics.roles.http.role import role_app
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.tasks import end

log = logging.getLogger(__name__)

MAINTAIN_SECONDS = 600
SWEEP_SECONDS = 60
MIRROR_SECONDS = 30
OPEN_RETRY_SECONDS = 5.0


class Processor:
    """The worker and the store it feeds, from the first time the database answers until `stop` is
    set.
    """

    def __init__(self, redis: Redis, queue: Queue, config: Settings) -> None:
        self.redis = redis
        self.queue = queue
        self.settings = config
        self.engine = projects.open_engine(config.database())
        self._store: PostgresStore | None = None

    @property
    def store(self) -> PostgresStore:
        """The open store; raises Unavailable while the database has not answered yet."""
        if self._store is None:
            raise Unavailable("the database has not answered yet")
        return self._store

    async def run(self, stop: asyncio.Event) -> None:
        """Store what the queue holds until `stop`; waits for a database that is not there yet."""
        self._store = await self._open(stop)
        if self._store is None:
            return
        crons = (
            Cron("maintain", MAINTAIN_SECONDS, self._store.maintain),
            Cron("sweep", SWEEP_SECONDS, self._sweep),
            Cron("mirror", MIRROR_SECONDS, self._mirror),
        )
        compaction = asyncio.create_task(self._store.compactor.run(), name="compaction")
        try:
            await Worker(
                self.redis, self.settings, store=self.write, bury=self._store.bury, crons=crons
            ).run(stop)
        finally:
            await end([compaction])
            await self._store.close()

    async def write(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Commit jobs, then tell whoever watches; what was a duplicate or a dead letter is not
        shown.
        """
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
                await asyncio.wait_for(stop.wait(), OPEN_RETRY_SECONDS)
            except TimeoutError:
                continue
        return None

    async def _sweep(self) -> None:
        await self.store.sweep(self.queue.waiting)

    async def _mirror(self) -> None:
        await mirror(self.engine, self.redis)


async def _redis_check(state: State) -> str:
    queue: Queue = state.queue
    return await queue.check()


async def _database_check(state: State) -> str:
    processor: Processor = state.processor
    return await processor.store.check()


async def _gauges(state: State) -> None:
    queue: Queue = state.queue
    await queue.refresh_gauges()


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    config: Settings = app.state.settings
    redis = connect(config)
    app.state.queue = Queue(redis, config)
    app.state.processor = Processor(redis, app.state.queue, config)
    stop = asyncio.Event()

    def ended(_: asyncio.Task[None]) -> None:
        if not stop.is_set():  # a processor that stores nothing must not look alive
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


def app(config: Settings) -> Starlette:
    """The processor: a worker with a health and metrics port."""
    return role_app(
        config,
        (),
        lifespan=_lifespan,
        checks={"redis": _redis_check, "database": _database_check},
        gauges=_gauges,
    )


def create() -> Starlette:
    """An app from the environment, for an ASGI server of the operator's choice."""
    return app(settings.load())
