"""Shared by the queue's tests: events, a store that is a dict, workers that run beside a test."""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from analytics.errors import Unavailable
from analytics.events import Event, Job, Outcome, pack
from analytics.queue import Queue, Worker, body, pace, scripts
from analytics.redis import Cron, connect
from analytics.settings import Settings
from tests.waiting import PATIENCE_SECONDS, until


def event(
    metadata: bytes = b"{}", project: str = "default", event_id: uuid.UUID | None = None
) -> Event:
    now = datetime.now(UTC)
    return Event(
        project,
        event_id or uuid.uuid4(),
        "session",
        None,
        "engagement",
        "click",
        metadata,
        now,
        now,
        named=True,
    )


def events(count: int) -> list[Event]:
    return [event() for _ in range(count)]


def config(url: str, **changes: Any) -> Settings:
    return Settings(redis_url=url, **changes)


class Ledger:
    """A store that is a dict.

    A repeated event is a duplicate, and a job that comes again gets its recorded outcome.
    """

    def __init__(self) -> None:
        self.rows: dict[uuid.UUID, Event] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.calls: list[list[Job]] = []
        self.buried: dict[str, tuple[int, bytes, str, str]] = {}
        self.before: Callable[[Sequence[Job]], Awaitable[None]] | None = None

    @property
    def attempts(self) -> Counter[str]:
        return Counter(job.id for jobs in self.calls for job in jobs)

    async def store(self, jobs: list[Job]) -> list[Outcome]:
        self.calls.append(jobs)
        if self.before:
            await self.before(jobs)
        return [self._outcome(job) for job in jobs]

    def _outcome(self, job: Job) -> Outcome:
        if job.id not in self.outcomes:
            new = {one.id: one for one in job.events if one.id not in self.rows}
            self.rows.update(new)
            self.outcomes[job.id] = Outcome(stored=len(new), duplicate=len(job.events) - len(new))
        return self.outcomes[job.id]

    async def recorded(self, job_id: str) -> Outcome | None:
        return self.outcomes.get(job_id)

    async def bury(
        self, job_id: str, count: int, job_body: bytes, reason: str, message: str
    ) -> None:
        self.buried[job_id] = (count, job_body, reason, message)


@contextlib.asynccontextmanager
async def client(settings: Settings, **options: Any) -> AsyncIterator[Redis]:
    """A client that waits much longer than the product's: a busy machine is no outage of Redis."""
    redis = connect(settings, **{"timeout": PATIENCE_SECONDS, **options})
    try:
        yield redis
    finally:
        await redis.aclose()


@contextlib.asynccontextmanager
async def working(
    settings: Settings, ledger: Ledger, crons: Sequence[Cron] = ()
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker that runs until the block ends, and must then end well."""
    async with client(settings) as redis:
        stop = asyncio.Event()
        task = asyncio.create_task(
            Worker(
                redis,
                settings,
                store=ledger.store,
                bury=ledger.bury,
                recorded=ledger.recorded,
                crons=crons,
            ).run(stop)
        )
        try:
            yield task
        finally:
            stop.set()
            await task


async def taken(queue: Queue) -> None:
    """Returns when an append of one event succeeds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await queue.append(events(1))
            except Unavailable:
                await asyncio.sleep(0.02)


def failures_of(script: scripts.Script, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What the runs of a script raise from now on."""
    run: Callable[..., Awaitable[Any]] = script.run
    failures: list[Exception] = []

    async def noted(*arguments: Any) -> Any:
        try:
            return await run(*arguments)
        except Exception as error:
            failures.append(error)
            raise

    monkeypatch.setattr(script, "run", noted)
    return failures


async def drained(queue: Queue) -> None:
    async def empty() -> bool:
        return (await queue.depth()).jobs == 0

    await until(empty)


async def enqueue(redis: Redis, events: Sequence[Event], job_id: str | None = None) -> str:
    """A job without the group commit."""
    return await enqueue_body(
        redis, body.write(pack(events)), job_id or scripts.job_id(len(events))
    )


async def enqueue_body(redis: Redis, job_body: bytes, job_id: str) -> str:
    await scripts.ENQUEUE.run(redis, "", 1, job_id, scripts.count_events(job_id), job_body)
    return job_id


async def now(redis: Redis) -> float:
    """Redis' clock, in seconds."""
    seconds, micros = await redis.time()
    return float(seconds + micros / 1e6)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow each other at once."""
    monkeypatch.setattr(pace, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(pace, "BACKOFF_CAP_SECONDS", 0.05)
