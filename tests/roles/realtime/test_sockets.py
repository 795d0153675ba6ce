"""A reader on a WebSocket: its key, what it asks for, and why its connection ends."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from analytics.redis import key_mirror
from analytics.roles.realtime import admission, sockets
from tests.live.kit import make_events
from tests.roles.realtime.platform import (
    Platform,
    closed,
    receive,
    send,
    subscribed,
)
from tests.waiting import until


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_a_key_in_a_header_of_the_handshake_is_enough(
    platform: Platform, header: str
) -> None:
    value = "Bearer ak_r_shop" if header == "Authorization" else "ak_r_shop"
    async with platform.socket(None, headers={header: value}) as reader:
        await subscribed(reader)


async def test_a_key_may_come_in_the_first_message(platform: Platform) -> None:
    async with platform.socket(None) as reader:
        await send(reader, type="auth", key="ak_r_shop")
        await subscribed(reader)


@pytest.mark.parametrize("token", ["ak_r_nobody", "ak_r_revoked", "ak_r_query", "ak_w_shop"])
@pytest.mark.parametrize("place", ["header", "message"])
async def test_a_bad_key_closes_with_4401(platform: Platform, token: str, place: str) -> None:
    async with platform.socket(token if place == "header" else None) as reader:
        if place == "message":
            await send(reader, type="auth", key=token)
        assert (await receive(reader))["type"] == "error"
        assert await closed(reader) == 4401


@pytest.mark.parametrize(
    "message",
    [
        '{"type": "subscribe", "id": "a", "channel": "events"}',
        "{",
        '{"type": "auth"}',
        "[]",
        "null",
        '"\\ud800"',
        "[" * 9000,
    ],
)
async def test_any_other_message_before_the_key_closes_with_4401(
    platform: Platform, message: str
) -> None:
    async with platform.socket(None) as reader:
        await reader.send(message)
        assert await closed(reader) == 4401


async def test_no_key_in_time_closes_with_4401(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admission.AUTH_SECONDS == 5
    monkeypatch.setattr(admission, "AUTH_SECONDS", 0.3)
    async with platform.socket(None) as reader:
        assert await closed(reader) == 4401


async def test_a_key_that_cannot_be_checked_now_is_not_called_bad(platform: Platform) -> None:
    await platform.redis.delete(key_mirror.SYNCED)
    async with platform.socket("ak_r_unknown") as reader:
        assert (await receive(reader))["code"] == "unavailable"
        assert await closed(reader) == 1013


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "subscribe", "id": "a", "channel": "events"}, "duplicate_id"),
        ({"type": "subscribe", "id": "b", "channel": "weather"}, "bad_message"),
        ({"type": "subscribe", "id": "b", "channel": "events", "evnt": "x"}, "bad_message"),
        ({"type": "subscribe", "id": "", "channel": "events"}, "bad_message"),
        ({"type": "subscribe", "id": "b", "channel": "events", "event": "a:b:c"}, "bad_parameter"),
        (
            {"type": "subscribe", "id": "b", "channel": "events", "where": ["metadata.x"]},
            "bad_parameter",
        ),
        (
            {"type": "subscribe", "id": "b", "channel": "events", "where": ["nothing.eq.x"]},
            "bad_parameter",
        ),
        (
            {"type": "subscribe", "id": "b", "channel": "events", "where": ["metadata.x.gt.y"]},
            "bad_parameter",
        ),
        (
            {"type": "subscribe", "id": "b", "channel": "events", "where": ["metadata.x.re.("]},
            "bad_parameter",
        ),
        ({"type": "subscribe", "id": "b", "channel": "counters", "event": "x"}, "bad_parameter"),
        ({"type": "subscribe", "id": "b", "channel": "events", "project": "a b"}, "other_project"),
        ({"type": "unsubscribe", "id": "b"}, "unknown_id"),
        ({"type": "auth", "key": "ak_r_shop"}, "bad_message"),
        ({"type": "dance"}, "bad_message"),
        ([1, 2], "bad_message"),
    ],
)
async def test_a_fault_is_named_and_leaves_the_connection_and_its_subscriptions_alone(
    platform: Platform, message: Any, code: str
) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, "a")
        await reader.send(json.dumps(message))
        error = await receive(reader)
        assert (error["type"], error["code"]) == ("error", code)
        assert error["message"]
        assert error.get("id") == (message.get("id") if isinstance(message, dict) else None)
        await platform.stored(make_events(1))
        assert (await receive(reader))["id"] == "a"


@pytest.mark.parametrize(
    "raw",
    ["{", "", "[" * 60_000, b"\xff\xfe", '{"type":"subscribe","id":"\\ud800","channel":"events"}'],
)
async def test_a_message_that_is_no_json_is_an_error_and_no_end(
    platform: Platform, raw: str | bytes
) -> None:
    async with platform.socket() as reader:
        await reader.send(raw)
        assert (await receive(reader))["code"] == "bad_message"
        await subscribed(reader)


@pytest.mark.parametrize("text", ["x" * (64 * 1024 + 1), "\U0001f600" * (16 * 1024 + 1)])
async def test_a_message_over_64_kib_ends_the_connection(platform: Platform, text: str) -> None:
    async with platform.socket() as reader:
        await reader.send(text)
        assert await closed(reader) == 1009


@pytest.mark.parametrize("type_", ["subscribe", "unsubscribe", "dance"])
async def test_a_long_id_comes_back_cut(platform: Platform, type_: str) -> None:
    async with platform.socket() as reader:
        await send(reader, type=type_, id="i" * 60_000)
        error = await receive(reader)
        assert (error["type"], error["id"]) == ("error", "i" * 64)
        assert len(error["message"]) <= 500
        await send(reader, **{"type": type_, "id": "a", "x" * 60_000: 1})
        assert len((await receive(reader))["message"]) <= 500


async def test_a_reader_too_slow_is_closed_with_1013_and_200_others_wait_for_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "SEND_SECONDS", 600.0)
    monkeypatch.setattr(sockets, "CLOSE_SECONDS", 600.0)
    closing, close, write = asyncio.Event(), sockets.Connection._close, sockets.Connection._write
    writing = 0

    async def noted_close(self: sockets.Connection, reason: sockets.Close) -> None:
        closing.set()
        await close(self, reason)

    async def noted_write(self: sockets.Connection, message: Any) -> None:
        nonlocal writing
        writing += 1
        try:
            await write(self, message)
        finally:
            writing -= 1

    monkeypatch.setattr(sockets.Connection, "_close", noted_close)
    monkeypatch.setattr(sockets.Connection, "_write", noted_write)
    big = json.dumps({"x": "y" * 20_000}).encode()
    async with AsyncExitStack() as stack:

        async def joined(event: str) -> ClientConnection:
            reader = await stack.enter_async_context(
                platform.socket(
                    max_queue=1, ping_interval=None, compression=None, close_timeout=0.1
                )
            )
            await subscribed(reader, event=event)
            return reader

        await joined("big")  # it reads no more
        others = await asyncio.gather(*(joined("tick") for _ in range(200)))
        for _ in range(10):
            await platform.stored(make_events(60, event_type="big", metadata=big))
            await platform.stored(make_events(1, event_type="tick"))
            await asyncio.gather(*(receive(other) for other in others))
        await until(lambda: writing == 1)

        monkeypatch.setattr(sockets, "SEND_SECONDS", 1.0)  # only the slow one is sent to meanwhile
        slow = await joined("large")
        assert not closing.is_set()
        for _ in range(10):
            await platform.stored(make_events(60, event_type="large", metadata=big))
        await until(closing.is_set)
        monkeypatch.setattr(sockets, "SEND_SECONDS", 600.0)
        await platform.stored(make_events(1, event_type="tick"))
        await asyncio.gather(*(receive(other) for other in others))
        assert await closed(slow) == 1013
