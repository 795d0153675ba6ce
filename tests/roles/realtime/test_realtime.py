"""Realtime as its readers see it: a real server, a real Valkey, real WebSockets."""

import asyncio
import signal
from typing import Any

import pytest

from analytics import served_app
from analytics.embedded import Valkey
from analytics.redis import key_mirror
from analytics.roles.realtime import admission
from tests.live.kit import make_events
from tests.roles.realtime.platform import (
    Platform,
    closed,
    receive,
    serving,
    stream,
    subscribed,
)
from tests.waiting import PATIENCE_SECONDS


async def test_after_a_restart_of_redis_readers_are_told_the_exact_gap_and_events_flow_again(
    own_valkey: Valkey,
) -> None:
    async with (
        serving(own_valkey.url) as platform,
        platform.socket() as reader,
        platform.socket() as counter,
    ):
        await subscribed(reader)
        await subscribed(counter, channel="counters")
        await platform.stored(make_events(3))
        for _ in range(3):
            assert (await receive(reader))["type"] == "event"
        own_valkey.kill()
        await platform.stored(make_events(17))
        own_valkey.start()
        received: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not received or received[-1]["type"] != "event":
                await platform.stored(make_events(1))
                try:
                    while True:
                        received.append(await receive(reader, 0.3))
                except TimeoutError:
                    continue
        sent = int(await platform.redis.hget("analytics:live:counts", "shop"))  # type: ignore[misc]
        missed = sum(message["missed"] for message in received if message["type"] == "gap")
        assert missed >= 17
        assert 3 + missed + sum(message["type"] == "event" for message in received) == sent
        assert {message["id"] for message in received} == {"a"}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await receive(counter))["type"] != "gap":
                continue


async def test_a_head_opens_no_stream(platform: Platform) -> None:
    async with platform.http() as client:
        answer = await client.head("/realtime/events", headers={"X-API-Key": "ak_r_shop"})
    assert answer.status_code == 405


async def test_at_shutdown_readers_are_told_to_come_again_with_1012(redis_url: str) -> None:
    async with serving(redis_url) as platform:
        reader, idle = await platform.socket(), await platform.socket(None)
        await subscribed(reader)
        signal.raise_signal(signal.SIGTERM)
        assert await closed(reader) == 1012
        assert await closed(idle) == 1012
        await asyncio.wait_for(platform.task, 30)


async def test_streams_end_at_shutdown(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_app, "DRAIN_SECONDS", 600)
    monkeypatch.setattr(served_app, "STOP_SECONDS", 600)
    async with serving(redis_url) as platform, stream(platform) as events:
        await events.next()
        signal.raise_signal(signal.SIGTERM)
        await events.rest()
        await asyncio.wait_for(platform.task, 30)


async def test_readers_and_what_they_were_sent_are_measured(platform: Platform) -> None:
    async def value(line: str) -> float:
        async with platform.http() as client:
            text = (await client.get("/metrics")).text
        return next(
            (
                float(sample.rpartition(" ")[2])
                for sample in text.splitlines()
                if sample.startswith(line)
            ),
            0,
        )

    before = await value('analytics_realtime_messages_sent_total{type="event"}')
    async with platform.socket() as reader, stream(platform) as events:
        await subscribed(reader)
        await events.next()
        await platform.stored(make_events(2))
        await receive(reader)
        await receive(reader)
        assert await value('analytics_realtime_connections{transport="websocket"}') == 1
        assert await value('analytics_realtime_connections{transport="sse"}') == 1
    assert await value('analytics_realtime_messages_sent_total{type="event"}') >= before + 2
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(
            [
                await value(f'analytics_realtime_connections{{transport="{name}"}}')
                for name in admission.TRANSPORTS
            ]
        ):
            continue


async def test_until_keys_can_be_looked_up_realtime_is_not_healthy(redis_url: str) -> None:
    async with serving(redis_url) as platform, platform.http() as client:
        await platform.redis.delete(key_mirror.SYNCED)
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert "keys cannot be checked" in answer.json()["checks"]["redis"]
        await platform.redis.set(key_mirror.SYNCED, "now")
        assert (await client.get("/health")).json()["checks"] == {"redis": "ok"}


async def test_health_tells_of_redis(own_valkey: Valkey) -> None:
    async with serving(own_valkey.url) as platform, platform.http() as client:
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["checks"]) == (200, {"redis": "ok"})
        own_valkey.kill()
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert (await client.get("/health/live")).status_code == 200
