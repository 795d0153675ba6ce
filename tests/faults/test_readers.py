"""Who only reads: slow, many at once, cut off from the bus, in a zone whose clocks change. Faults
29, 30, 37 and 42.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.faults.conftest import MakePlatform
from tests.faults.figures import often
from tests.faults.load import check_books, event, post, send
from tests.faults.platform import API_KEY, Platform, Role, http_get
from tests.waiting import wait_for

PATIENCE = 60.0
SLOW_AFTER = 120.0


def joining(realtime: Role, **options: Any) -> connect:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    return connect(
        f"ws://127.0.0.1:{realtime.port}/realtime",
        additional_headers=headers,
        compression=None,
        open_timeout=PATIENCE,
        **options,
    )


async def subscribed(socket: ClientConnection, id_: str, event: str) -> None:
    await socket.send(
        msgspec.json.encode(
            {"type": "subscribe", "id": id_, "channel": "events", "event": event}
        ).decode()
    )
    assert (await hear(socket))["type"] == "subscribed"


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        message: dict[str, Any] = msgspec.json.decode(await socket.recv())
    return message


async def gathered(group: list[Coroutine[Any, Any, Any]], at_once: int = 100) -> list[Any]:
    """What they return, or raise, some at a time: a listener's backlog is no part of the fault."""
    gate = asyncio.Semaphore(at_once)

    async def through(one: Coroutine[Any, Any, Any]) -> Any:
        async with gate:
            return await one

    return await asyncio.gather(*map(through, group), return_exceptions=True)


async def test_a_reader_that_does_not_read_is_closed_with_1013_and_199_others_hear_everything(
    platform: Platform,
) -> None:
    readers = often(199, 60)
    collector, _, realtime = (
        platform.role("collector"),
        platform.role("processor"),
        platform.role("realtime"),
    )
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(
            joining(realtime, max_queue=1, ping_interval=None, close_timeout=1)
        )
        await subscribed(slow, "slow", "big")
        slow.transport.pause_reading()
        others = [await stack.enter_async_context(joining(realtime)) for _ in range(readers)]
        await gathered([subscribed(other, "quick", "tick") for other in others])
        waits, sent = [], 0
        began = time.monotonic()
        while not await dropped(platform, realtime, readers):
            assert time.monotonic() - began < SLOW_AFTER, "the slow reader is kept for ever"
            big = [event(n, event_type="big", metadata={"x": "y" * 20_000}) for n in range(40)]
            await asyncio.to_thread(send, collector.port, big)
            since = time.monotonic()
            await asyncio.to_thread(send, collector.port, [event(sent, event_type="tick")])
            heard = await gathered([hear(other) for other in others], readers)
            assert {message["event"]["event_type"] for message in heard} == {"tick"}
            waits.append(time.monotonic() - since)
            sent += 1
        assert sorted(waits)[len(waits) // 2] < 10, "the others wait for the slow one"
        platform.figures.recovered(sorted(waits)[len(waits) // 2])
        slow.transport.resume_reading()
        with pytest.raises(ConnectionClosed) as closed:
            await read_on(slow)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1013
    await asyncio.to_thread(wait_for, platform.drained, "the queue to drain")
    await asyncio.to_thread(check_books, platform)


async def read_on(socket: ClientConnection) -> None:
    while True:
        await hear(socket)


async def dropped(platform: Platform, realtime: Role, readers: int) -> bool:
    """Whether realtime holds only the readers that read."""
    return await asyncio.to_thread(connections, realtime) == readers


def connections(realtime: Role) -> int:
    lines = http_get(f"{realtime.url}/metrics")[1].decode().splitlines()
    return next(
        int(float(line.split()[-1]))
        for line in lines
        if line.startswith('analytics_realtime_connections{transport="websocket"}')
    )


async def test_of_a_thousand_reconnections_the_cap_is_admitted_and_the_rest_told_when_to_retry(
    platform: Platform,
) -> None:
    storm, cap = 1_000, 600
    realtime = platform.role("realtime", program=("-m", "tests.faults.small_lobby", str(cap)))
    first = await gathered([opened(realtime) for _ in range(often(cap, 200))])
    assert all(isinstance(one, ClientConnection) for one in first), [
        one for one in first if not isinstance(one, ClientConnection)
    ][:3]
    await asyncio.to_thread(realtime.kill)
    await gathered([one.wait_closed() for one in first])
    began = time.monotonic()
    await asyncio.to_thread(realtime.start)
    again = await gathered([opened(realtime) for _ in range(storm)])
    platform.figures.recovered(time.monotonic() - began)
    inside = [one for one in again if isinstance(one, ClientConnection)]
    refused = [one for one in again if isinstance(one, InvalidStatus)]
    assert len(inside) == cap
    assert len(refused) == storm - cap, [
        one for one in again if not isinstance(one, ClientConnection | InvalidStatus)
    ][:3]
    assert {one.response.status_code for one in refused} == {503}
    pauses = {int(one.response.headers["Retry-After"]) for one in refused}
    assert pauses <= set(range(1, 11))
    assert len(pauses) > 5, "all would come again at once"
    await gathered([one.close() for one in inside])


async def opened(realtime: Role) -> ClientConnection:
    return await joining(realtime, ping_interval=None, close_timeout=5)


async def test_after_a_restart_of_redis_a_socket_learns_how_many_events_it_missed(
    platform: Platform,
) -> None:
    collector, _, realtime = (
        platform.role("collector"),
        platform.role("processor"),
        platform.role("realtime"),
    )
    heard = missed = sent = 0
    async with joining(realtime) as socket:
        await subscribed(socket, "a", "lost")
        for turn in range(often(5, 2)):
            await asyncio.to_thread(platform.restart, platform.valkey)
            began = time.monotonic()
            while heard + missed < sent or not heard:
                batch = [event(n, event_type="lost") for n in range(10)]
                await asyncio.to_thread(eventually_send, collector, batch)
                sent += len(batch)
                while heard + missed < sent:
                    message = await hear(socket)
                    heard += message["type"] == "event"
                    missed += message.get("missed", 0)
            platform.figures.recovered(time.monotonic() - began)
            assert heard + missed == sent, turn
    await asyncio.to_thread(wait_for, platform.drained, "the queue to drain")
    await asyncio.to_thread(check_books, platform)


def eventually_send(collector: Role, batch: list[dict[str, Any]]) -> None:
    wait_for(
        lambda: post(collector.port, msgspec.json.encode(batch))[0] == 202, "events to be taken"
    )


def test_the_day_of_25_hours_is_one_bucket_from_the_collector_to_the_answer(
    make_platform: MakePlatform,
) -> None:
    with make_platform(RETENTION_DAYS="0") as platform:
        collector, _, api = (
            platform.role("collector"),
            platform.role("processor"),
            platform.role("api"),
        )
        # in Berlin, where the day that follows has 25 hours
        midnight = datetime(2025, 10, 25, 22, tzinfo=UTC)
        send(
            collector.port,
            [
                event(n, timestamp=(midnight + timedelta(hours=n)).isoformat())
                for n in range(-1, 26)
            ],
        )
        wait_for(platform.drained, "the queue to drain")
        answer = platform.get(
            api, "/api/trends?from=2025-10-25&to=2025-10-28&tz=Europe/Berlin&interval=day"
        )
        assert answer["data"]["series"][0]["values"] == [1, 25, 1]
        assert not answer["meta"]["partial"]
        check_books(platform)
