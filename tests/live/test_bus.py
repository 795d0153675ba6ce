"""The live bus on a real Valkey: no gap between messages, and exact numbers of missed events."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

from analytics.embedded import Valkey
from analytics.errors import Unavailable
from analytics.live import Bus, Delivery, publish
from analytics.live import bus as bus_module
from tests.live.kit import Ear, client, make_events
from tests.waiting import PATIENCE_SECONDS, until


async def test_who_watches_hears_every_event_in_order_and_nothing_of_other_projects(
    redis: Redis, bus: Bus
) -> None:
    ear = Ear()
    await bus.watch("shop", ear)
    events = make_events(3)
    await publish(redis, [events[0], *make_events(1, "other"), *events[1:]])
    await until(lambda: len(ear.heard) == 3)
    assert ear.heard == events
    assert ear.gaps == []


async def test_events_stored_before_the_first_watcher_are_no_gap(redis: Redis, bus: Bus) -> None:
    await publish(redis, make_events(5))
    ear = Ear()
    await bus.watch("shop", ear)
    await publish(redis, make_events(2))
    await until(lambda: len(ear.heard) == 2)
    assert ear.gaps == []


async def test_leaving_and_coming_back_while_events_flow_is_no_gap_and_no_noise(
    redis: Redis, bus: Bus
) -> None:
    stop = False

    async def flow() -> None:
        while not stop:
            await publish(redis, make_events(3))

    flowing = asyncio.create_task(flow())
    for _ in range(20):
        ear = Ear()
        await bus.watch("shop", ear)
        await until(lambda ear=ear: ear.heard)  # type: ignore[misc]
        bus.unwatch("shop", ear)
        assert ear.gaps == []
    stop = True
    await flowing


async def test_what_a_left_channel_still_brings_is_not_taken_for_the_one_entered_again(
    redis: Redis,
) -> None:
    bus = Bus(redis)  # not connected: what Redis would say is said by hand
    ear = Ear()
    entering = asyncio.create_task(bus.watch("shop", ear))
    await until(lambda: "shop" in bus._channels)
    await bus._deliver("shop", b"7:")
    assert not bus._channels["shop"].confirmed.is_set()
    await bus._subscribed("shop")
    await bus._deliver("shop", b"9:")
    assert await entering == 9
    assert ear.gaps == []


async def test_only_watched_projects_are_subscribed_to(redis: Redis, bus: Bus) -> None:
    first, second = Ear(), Ear()
    await bus.watch("shop", first)
    await bus.watch("shop", second)
    assert (await redis.pubsub_numsub("analytics:live:shop"))[0][1] == 1
    bus.unwatch("shop", first)
    await publish(redis, make_events(1))
    await until(lambda: second.heard)
    assert not first.heard
    bus.unwatch("shop", second)

    async def nobody_is_subscribed() -> bool:
        return not (await redis.pubsub_numsub("analytics:live:shop"))[0][1]

    await until(nobody_is_subscribed)


async def test_who_leaves_while_others_are_told_hears_nothing_more(
    redis: Redis, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # others have their turn after each watcher
    monkeypatch.setattr(bus_module, "SLICE_SECONDS", -1.0)
    second, last = Ear(), Ear()

    class First(Ear):
        async def stored(self, delivery: Delivery) -> None:
            asyncio.get_running_loop().call_soon(bus.unwatch, "shop", second)

    for ear in (First(), second, last):
        await bus.watch("shop", ear)
    await publish(redis, make_events(1))
    await until(lambda: last.heard)
    assert not second.heard


async def test_after_a_restart_of_redis_the_gap_is_exact_and_events_flow_again(
    own_valkey: Valkey,
) -> None:
    redis = client(own_valkey.url)
    async with Bus(redis) as bus:
        ear = Ear()
        await bus.watch("shop", ear)
        await publish(redis, make_events(4))
        await until(lambda: len(ear.heard) == 4)
        own_valkey.kill()
        await publish(redis, make_events(11))  # stored while Redis was away
        own_valkey.start()
        while True:  # one that comes while the bus is still on its way back
            with suppress(Exception):
                await redis.ping()
                break
        await publish(redis, make_events(6))
        await until(lambda: sum(ear.gaps) + len(ear.heard) == 21)
        await publish(redis, make_events(2))
        await until(lambda: len(ear.heard) >= 6)
        assert sum(ear.gaps) + len(ear.heard) == 23
        assert sum(ear.gaps) >= 11
    await redis.aclose()


async def test_a_gap_is_told_without_waiting_for_the_next_event(own_valkey: Valkey) -> None:
    redis = client(own_valkey.url)
    async with Bus(redis) as bus:
        ear = Ear()
        await bus.watch("shop", ear)
        await redis.client_kill_filter(_type="pubsub")
        await publish(redis, make_events(9))  # before the bus tries again
        await until(lambda: ear.gaps)
        assert (ear.gaps, ear.heard) == ([9], [])
    await redis.aclose()


async def test_a_count_that_was_lost_with_redis_starts_anew(own_valkey: Valkey) -> None:
    redis = client(own_valkey.url)
    async with Bus(redis) as bus:
        ear = Ear()
        await bus.watch("shop", ear)
        await publish(redis, make_events(50))
        await until(lambda: len(ear.heard) == 50)
        await redis.flushall()
        await publish(redis, make_events(2))
        await until(lambda: len(ear.heard) == 52)
        assert ear.gaps == []
    await redis.aclose()


async def test_a_connection_that_died_without_a_word_is_noticed(
    own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "PING_SECONDS", 0.3)
    redis = client(own_valkey.url, seconds=2)  # what is published while it is frozen is given up
    async with Bus(redis) as bus:
        ear = Ear()
        await bus.watch("shop", ear)
        os.kill(own_valkey.pid, signal.SIGSTOP)
        await until(lambda: not bus._channels["shop"].confirmed.is_set())
        await publish(redis, make_events(3))
        os.kill(own_valkey.pid, signal.SIGCONT)
        await until(lambda: bus._channels["shop"].confirmed.is_set())
        await publish(redis, make_events(1))
        await until(lambda: len(ear.heard) == 1 or sum(ear.gaps) > 3)
        assert sum(ear.gaps) + len(ear.heard) == 4
    await redis.aclose()


async def test_an_idle_bus_stays_connected(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each answer a listener finds nothing once, as after PING_SECONDS of silence."""
    read, answers, idle = AbstractConnection.read_response, 0, False
    listening = set()

    async def read_or_not(self: AbstractConnection, *arguments: Any, **options: Any) -> Any:
        nonlocal answers, idle
        if "timeout" not in options:  # the answer to a command
            return await read(self, *arguments, **options)
        listening.add(self)
        if idle:
            idle = False
            return None
        answer = await read(self, timeout=PATIENCE_SECONDS)
        answers, idle = answers + 1, answers < 20
        return answer

    monkeypatch.setattr(AbstractConnection, "read_response", read_or_not)
    async with Bus(redis) as bus:
        await bus.watch("shop", Ear())
        await until(lambda: answers > 20)
        assert bus._channels["shop"].confirmed.is_set()
    assert len(listening) == 1


async def test_watching_while_redis_is_away_is_refused_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus_module, "WATCH_SECONDS", 0.2)
    redis = Redis(host="127.0.0.1", port=1)
    async with Bus(redis) as bus:
        with pytest.raises(Unavailable):
            await bus.watch("shop", Ear())
        assert not bus._channels
    await publish(redis, make_events(1))
    await redis.aclose()


async def test_a_message_in_an_unknown_form_counts_as_missed(redis: Redis, bus: Bus) -> None:
    ear = Ear()
    await bus.watch("shop", ear)
    await redis.publish("analytics:live:shop", b"5:\xc1of another release")
    await until(lambda: ear.gaps)
    assert ear.gaps == [5]
