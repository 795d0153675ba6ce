"""Admission: the queue refuses events before Redis is full, and accepts them once drained."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from analytics import metrics
from analytics.embedded import Valkey
from analytics.errors import ConfigurationError, Unavailable
from analytics.queue import Queue, backpressure, scripts
from analytics.settings import Settings
from tests import servers
from tests.queue.kit import (
    Ledger,
    client,
    config,
    drained,
    event,
    events,
    failures_of,
    taken,
    working,
)
from tests.waiting import PATIENCE_SECONDS, until


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "POLL_SECONDS", 0.02)


@pytest.fixture
async def own(server_folder: Path) -> AsyncIterator[Valkey]:
    """A Valkey whose configuration the test may change."""
    with servers.valkey(
        server_folder / f"backpressure-{uuid.uuid4().hex[:8]}", maxmemory="20mb"
    ) as server:
        yield server


async def refusal(queue: Queue) -> Unavailable:
    """The first refusal, while events are appended without end."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await queue.append([event(b'{"k": "%s"}' % (b"x" * 10_000)) for _ in range(10)])
            except Unavailable as error:
                return error


@pytest.fixture
def admitting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All values that the metric has had.

    Its last value is not enough: at the limit the script itself may refuse an append, and the next
    look may still find room.
    """
    said: list[int] = []
    set_ = metrics.queue_admitting.set

    def record(labels: dict[str, str], value: int) -> None:
        said.append(value)
        set_(labels, value)

    monkeypatch.setattr(metrics.queue_admitting, "set", record)
    return said


async def test_the_queue_refuses_below_maxmemory_and_drains(
    own: Valkey, ledger: Ledger, admitting: list[int]
) -> None:
    settings = config(own.url)
    async with client(settings) as redis, Queue(redis, settings) as queue:
        refused = await refusal(queue)
        assert (refused.code, "maxmemory" in refused.message, refused.retry_after >= 1) == (
            "queue_full",
            True,
            True,
        )
        memory = await redis.info("memory")
        assert memory["used_memory"] < memory["maxmemory"]
        assert 0 in admitting[admitting.index(1) :]
        async with working(settings, ledger):
            await drained(queue)
        await taken(queue)
        assert admitting[-1] == 1
        assert (await queue.books()).balanced


async def test_a_burst_between_two_looks_leaves_room_for_those_who_drain(
    own: Valkey, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim needs memory: a Redis that collectors fill to the brim would never be drained."""
    monkeypatch.setattr(backpressure, "POLL_SECONDS", 60)
    settings = config(own.url)
    async with client(settings) as redis, Queue(redis, settings) as queue:
        assert (await refusal(queue)).code == "queue_full"
        memory = await redis.info("memory")
        assert memory["used_memory"] < memory["maxmemory"] * 0.85
        async with working(settings, ledger):
            await drained(queue)
        assert (await queue.books()).balanced


async def test_a_redis_that_is_full_all_the_same_answers_unavailable_and_keeps_nothing(
    own: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backpressure, "POLL_SECONDS", 60)
    settings = config(own.url)
    async with client(settings) as redis, Queue(redis, settings) as queue:
        await queue.append(events(5))
        await redis.config_set("maxmemory", "1mb")
        with pytest.raises(Unavailable) as refused:
            await queue.append(events(5))
        assert refused.value.code == "queue_full"
        assert (await queue.books()).accepted == 5
        assert (await queue.depth()).jobs == 1


async def test_a_worker_survives_a_full_redis(
    own: Valkey, ledger: Ledger, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(own.url)
    failures = failures_of(scripts.CLAIM, monkeypatch)
    async with client(settings) as redis, Queue(redis, settings) as queue:
        await queue.append(events(5))
        await redis.config_set("maxmemory", "1mb")
        async with working(settings, ledger):
            await until(lambda: len(failures) > 2)
            assert (await queue.depth()).events == 5
            await redis.config_set("maxmemory", "20mb")
            await drained(queue)
        assert (await queue.books()).stored == 5


async def test_the_queue_refuses_over_its_cap_of_events(
    redis: Redis, redis_url: str, ledger: Ledger
) -> None:
    settings = config(redis_url, max_queued_events=100)
    async with Queue(redis, settings) as queue:
        refused = await refusal(queue)
        assert (refused.code, "MAX_QUEUED_EVENTS" in refused.message) == ("queue_full", True)
        async with working(settings, ledger):
            await drained(queue)
        await taken(queue)


async def test_a_full_queue_refuses_the_very_first_append(
    redis: Redis, redis_url: str, queue: Queue
) -> None:
    await queue.append(events(10))
    async with Queue(redis, config(redis_url, max_queued_events=10)) as full:
        with pytest.raises(Unavailable):
            await full.append(events(1))


@pytest.mark.parametrize(
    "policy", ["allkeys-lru", "volatile-ttl", "allkeys-random", "volatile-lfu"]
)
async def test_an_evicting_redis_is_refused_at_the_start(own: Valkey, policy: str) -> None:
    settings = config(own.url)
    async with client(settings) as redis:
        await redis.config_set("maxmemory-policy", policy)
        with pytest.raises(
            ConfigurationError, match=f"{policy}.*CONFIG SET maxmemory-policy noeviction"
        ):
            async with Queue(redis, settings):
                pass
        with pytest.raises(ConfigurationError):
            await Queue(redis, settings).check()


async def test_a_redis_that_begins_to_evict_is_refused_from_then_on(own: Valkey) -> None:
    settings = config(own.url)
    async with client(settings) as redis, Queue(redis, settings) as queue:
        await queue.append(events(1))
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        assert (await refusal(queue)).code == "queue_unsafe"
        await redis.config_set("maxmemory-policy", "noeviction")
        await taken(queue)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("appendonly", "no", "append-only file is off"),
        ("appendfsync", "everysec", "appendfsync is everysec"),
    ],
)
async def test_a_redis_that_may_forget_is_warned_of_once_and_in_the_health(
    own: Valkey,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    words: str,
) -> None:
    looks, look = 0, backpressure.Backpressure.look

    async def counted(self: backpressure.Backpressure) -> None:
        nonlocal looks
        await look(self)
        looks += 1

    monkeypatch.setattr(backpressure.Backpressure, "look", counted)
    settings = config(own.url)
    async with client(settings) as redis:
        await redis.config_set(name, value)
        with caplog.at_level(logging.WARNING, "analytics.queue"):
            async with Queue(redis, settings) as queue:
                await until(lambda: looks > 2)
                health = await queue.check()
    assert health.startswith("ok: ")
    assert words in health
    assert [words in message for message in caplog.messages] == [True]


async def test_a_durable_redis_is_ok(queue: Queue) -> None:
    assert await queue.check() == "ok"


async def test_a_redis_that_forbids_info_and_config_is_warned_of_but_used(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forbidden(*_: Any, **__: Any) -> None:
        raise NoPermissionError("this user has no permissions to run the 'info' command")

    async with client(settings) as redis:
        monkeypatch.setattr(redis, "info", forbidden)
        monkeypatch.setattr(redis, "config_get", forbidden)
        async with Queue(redis, settings) as managed:
            await managed.append(events(1))
            assert "does not say" in await managed.check()


async def test_a_queue_waits_for_a_redis_that_is_not_there_yet(server_folder: Path) -> None:
    with servers.valkey(server_folder / "late") as server:
        settings = config(server.url)
        server.stop()
        async with client(settings, timeout=1) as redis, Queue(redis, settings) as queue:
            with pytest.raises(Unavailable):
                await queue.append(events(1))
            with pytest.raises(Unavailable):
                await queue.check()
            await asyncio.to_thread(server.start)
            await taken(queue)
