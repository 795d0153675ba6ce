"""The processor publishes committed events, and nothing else."""

import asyncio
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from analytics import live, server
from analytics.embedded import free_port
from analytics.errors import TransientStoreError
from analytics.events import Event, Job, Outcome
from analytics.queue import Queue, Worker
from analytics.roles import processor
from analytics.roles.processor import Processor
from analytics.settings import Settings
from analytics.stores.writing.transaction import Written
from tests.queue.kit import event
from tests.waiting import PATIENCE_SECONDS


class Store:
    """Stores the first event of each job; the others are duplicates. If away, it stores none."""

    def __init__(self) -> None:
        self.away = False

    async def write(self, jobs: Sequence[Job]) -> Written:
        if self.away:
            raise TransientStoreError("no database")
        return Written(
            [Outcome(stored=1, duplicate=len(job.events) - 1) for job in jobs],
            [job.events[0] for job in jobs],
        )


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """The events that the live bus was given."""
    events_published: list[Event] = []

    async def publish(_: Redis, events: Sequence[Event]) -> None:
        events_published.extend(events)

    monkeypatch.setattr(live, "publish", publish)
    return events_published


async def test_only_what_is_committed_is_shown(published: list[Event]) -> None:
    store, redis = Store(), Redis()
    config = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
    processor = Processor(redis, Queue(redis, config), config)
    processor._store = store  # type: ignore[assignment]  # the two methods that it is asked for here
    sent = [event(), event()]
    store.away = True
    with pytest.raises(TransientStoreError):
        await processor.write([Job("a.2", sent)])
    assert published == []
    store.away = False
    assert await processor.write([Job("a.2", sent)]) == [Outcome(stored=1, duplicate=1)]
    assert published == sent[:1]
    await processor.engine.dispose()
    await redis.aclose()


async def test_a_worker_that_ends_by_a_bug_ends_the_process_with_it(
    redis_url: str, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Worker, "run", broken)
    config = Settings(
        redis_url=redis_url, database_url=migrated_url, environment="test", port=free_port()
    )
    assert config.port is not None
    listener = server.bind("processor", config, config.port)
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(RuntimeError, match="a bug"):
            await server.serve(
                {"processor": processor.ROLE.app(config)}, {"processor": listener}, config
            )
