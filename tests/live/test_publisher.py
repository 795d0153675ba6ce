"""The publisher: counts every event, sends them where somebody listens, counts visitors."""

import asyncio
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from analytics.live import Bus, messages, publish, publisher, visitors
from tests.live.kit import Ear, make_events
from tests.waiting import until


async def test_nothing_but_the_count_is_sent_while_nobody_listens(redis: Redis) -> None:
    before = (await redis.info("stats"))["total_net_input_bytes"]
    await publish(redis, make_events(1000, metadata=b'{"x": "' + b"y" * 1000 + b'"}'))
    after = (await redis.info("stats"))["total_net_input_bytes"]
    assert after - before < 5000
    assert await redis.hget(messages.COUNTS, "shop") == b"1000"  # type: ignore[misc]


async def test_a_large_batch_comes_in_several_messages_without_a_gap(
    redis: Redis, bus: Bus
) -> None:
    ear = Ear()
    await bus.watch("shop", ear)
    await publish(redis, make_events(30, metadata=b'{"x": "' + b"y" * 100_000 + b'"}'))
    await until(lambda: len(ear.heard) == 30)
    assert ear.gaps == []


async def test_publishers_at_once_make_no_gap(redis: Redis, bus: Bus) -> None:
    ear = Ear()
    await bus.watch("shop", ear)
    await asyncio.gather(*(publish(redis, make_events(7)) for _ in range(50)))
    await until(lambda: len(ear.heard) == 350)
    assert ear.gaps == []


async def test_visitors_are_the_actors_of_the_last_minutes_whatever_is_imported(
    redis: Redis,
) -> None:
    now = datetime.now(UTC)
    for number in range(20):
        await publish(redis, make_events(2, user_id=f"u{number}"))
    await publish(redis, make_events(3, user_id="old", timestamp=now - timedelta(minutes=6)))
    await publish(redis, make_events(3, "other"))
    assert await visitors(redis, "shop") == 20
    for key in await redis.keys(publisher.VISITORS + "*"):
        assert 0 < await redis.ttl(key) <= 420
