"""Realtime as its readers see it: a real server, a real Valkey, real WebSockets."""

import asyncio
import json
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from analytics import metrics, projects, server
from analytics.embedded import Valkey, free_port
from analytics.events import Event
from analytics.live import publish
from analytics.projects import Key, key_cache
from analytics.redis import key_mirror
from analytics.roles.realtime import admission, outbox, realtime, server_sent, sockets
from analytics.settings import Settings

SHOP = "ak_r_shop"
KEYS: dict[str, dict[str, Any]] = {
    "ak_r_shop": {"project": "shop", "scopes": frozenset({"realtime"})},
    "ak_r_other": {"project": "other", "scopes": frozenset({"realtime"})},
    "ak_r_page": {
        "project": "shop",
        "scopes": frozenset({"realtime"}),
        "origins": ("https://a.example",),
    },
    "ak_r_query": {"project": "shop", "scopes": frozenset({"query"})},
    "ak_w_shop": {"project": "shop", "scopes": frozenset({"ingest"})},
    "ak_r_revoked": {"project": "shop", "scopes": frozenset({"realtime"}), "revoked": True},
}


def make_events(number: int, project: str = "shop", **changes: object) -> list[Event]:
    now = datetime.now(UTC)
    fields = {
        "project": project,
        "session_id": "s",
        "user_id": None,
        "event_type": "engagement",
        "event_action": "click",
        "metadata": b"{}",
        "timestamp": now,
        "created_at": now,
    }
    return [Event(**(fields | {"id": uuid.uuid4()} | changes)) for _ in range(number)]  # type: ignore[arg-type]


class Platform:
    """A running realtime role and the Redis that it listens to."""

    def __init__(self, port: int, redis: Redis, task: "asyncio.Task[None]") -> None:
        self.port = port
        self.redis = redis
        self.task = task

    def socket(self, token: str | None = SHOP, **options: Any) -> connect:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return connect(
            f"ws://127.0.0.1:{self.port}/realtime",
            additional_headers=headers | options.pop("headers", {}),
            proxy=None,
            **options,
        )

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False
        )

    async def stored(self, events: list[Event]) -> None:
        await publish(self.redis, events)


async def set_key(redis: Redis, token: str, **fields: Any) -> None:
    known: dict[str, Any] = {"id": 1, "prefix": token[:12], **fields}
    await redis.hset(
        key_mirror.KEYS,
        mapping={projects.digest(token).hex(): msgspec.msgpack.encode(Key(**known))},
    )  # type: ignore[misc]
    await redis.set(key_mirror.SYNCED, "now")


@asynccontextmanager
async def serving(redis_url: str, **changes: Any) -> AsyncIterator[Platform]:
    config = Settings(
        redis_url=redis_url,
        environment="test",
        port=free_port(),
        api_keys=("static-key",),
        **changes,
    )
    redis: Redis = Redis.from_url(redis_url, socket_timeout=60)
    for token, fields in KEYS.items():
        await set_key(redis, token, **fields)
    assert config.port is not None
    listener = server.bind("realtime", config, config.port)
    ready = asyncio.Event()
    task = asyncio.create_task(
        server.serve(
            {"realtime": realtime.ROLE.app(config)}, {"realtime": listener}, config, ready=ready.set
        )
    )
    try:
        await asyncio.wait_for(ready.wait(), 20)
        yield Platform(config.port, redis, task)
    finally:
        if not task.done():
            signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(task, 60)
        await redis.aclose()


@pytest.fixture
async def platform(redis_url: str) -> AsyncIterator[Platform]:
    async with serving(redis_url) as platform:
        yield platform


async def send(reader: ClientConnection, **message: Any) -> None:
    await reader.send(json.dumps(message))


async def receive(reader: ClientConnection, seconds: float = 20) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(reader.recv(), seconds))
    return message


async def subscribed(reader: ClientConnection, id_: str = "a", **request: Any) -> None:
    await send(reader, **({"type": "subscribe", "id": id_, "channel": "events"} | request))
    assert await receive(reader) == {"type": "subscribed", "id": id_}


async def closed(reader: ClientConnection, seconds: float = 20) -> int | None:
    """Read to the end, and return the code of the close."""
    async with asyncio.timeout(seconds):
        try:
            while True:
                await reader.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else None


# keys and handshake


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


async def test_a_key_of_the_settings_may_watch_every_project(platform: Platform) -> None:
    async with platform.socket("static-key") as reader:
        await subscribed(reader, "a", project="shop")
        await subscribed(reader, "b", project="other")


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
    assert sockets.AUTH_SECONDS == 5
    monkeypatch.setattr(sockets, "AUTH_SECONDS", 0.3)
    async with platform.socket(None) as reader:
        assert await closed(reader) == 4401


async def test_a_key_that_cannot_be_checked_now_is_not_called_bad(platform: Platform) -> None:
    await platform.redis.delete(key_mirror.SYNCED)
    async with platform.socket("ak_r_unknown") as reader:
        assert (await receive(reader))["code"] == "unavailable"
        assert await closed(reader) == 1013


async def test_a_key_revoked_while_connected_ends_the_connection(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        admission.RECHECK_SECONDS + key_cache.FRESH_SECONDS + 30 <= 60
    )  # the mirror is written every 30 s
    monkeypatch.setattr(admission, "RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 0.1)
    async with platform.socket() as reader:
        await subscribed(reader)
        await set_key(platform.redis, "ak_r_shop", **KEYS["ak_r_shop"] | {"revoked": True})
        assert await closed(reader) == 4401


async def test_a_foreign_origin_is_refused_at_the_handshake(redis_url: str) -> None:
    async with serving(redis_url, cors_origins=("https://a.example",)) as platform:
        with pytest.raises(InvalidStatus) as refusal:
            await platform.socket(origin="https://b.example")
        assert refusal.value.response.status_code == 403
        assert json.loads(refusal.value.response.body or b"")["error"]["code"] == "foreign_origin"
        async with platform.socket(origin="https://a.example") as reader:
            await subscribed(reader)
        async with platform.socket() as reader:  # no browser: no origin
            await subscribed(reader)
        async with platform.http() as client:
            answer = await client.get(
                "/realtime/events",
                headers={"X-API-Key": "ak_r_shop", "Origin": "https://b.example"},
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")


async def test_a_key_made_for_one_origin_is_refused_from_another(platform: Platform) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await platform.socket("ak_r_page", origin="https://b.example")
    assert refusal.value.response.status_code == 403
    async with platform.socket(None, origin="https://b.example") as reader:
        await send(reader, type="auth", key="ak_r_page")
        assert await closed(reader) == 4401
    async with platform.socket("ak_r_page", origin="https://a.example") as reader:
        await subscribed(reader)


async def test_beyond_the_cap_connections_are_refused_with_a_time_to_come_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_CONNECTIONS", 2)
    async with platform.socket(), platform.socket():
        with pytest.raises(InvalidStatus) as refusal:
            await platform.socket()
        assert refusal.value.response.status_code == 503
        assert int(refusal.value.response.headers["Retry-After"]) >= 1
    async with asyncio.timeout(20):
        while metrics.realtime_connections.get({"transport": "websocket"}):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with platform.socket() as reader:
        await subscribed(reader)


# subscriptions


async def test_an_event_is_shown_after_it_is_stored_as_the_api_shows_it(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader)
        event = make_events(1, user_id="u1", metadata=b'{"page": "/pricing", "n": 1.50}')[0]
        await platform.stored([event])
        message = await receive(reader)
        assert (message["type"], message["id"]) == ("event", "a")
        shown = message["event"]
        assert shown == {
            "id": str(event.id),
            "project": "shop",
            "session_id": "s",
            "user_id": "u1",
            "event_type": "engagement",
            "event_action": "click",
            "metadata": {"page": "/pricing", "n": 1.5},
            "timestamp": shown["timestamp"],
            "created_at": shown["created_at"],
        }
        assert datetime.fromisoformat(shown["timestamp"]) == event.timestamp


async def test_each_subscription_gets_what_passes_its_own_filter(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, "clicks", event="engagement:click")
        await subscribed(
            reader, "pricing", event="page,engagement", where=["metadata.page.eq./pricing"]
        )
        await subscribed(reader, "strange", event="a%3Ab:*")
        await subscribed(reader, "end")
        await platform.stored(make_events(1, metadata=b'{"page": "/"}'))
        await platform.stored(make_events(1, event_type="page", metadata=b'{"page": "/pricing"}'))
        await platform.stored(make_events(1, event_type="a:b"))
        ids: list[str] = []
        while ids.count("end") < 3:
            ids.append((await receive(reader))["id"])
        assert ids == ["clicks", "end", "pricing", "end", "strange", "end"]


async def test_after_unsubscribing_nothing_more_comes(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, "a")
        await subscribed(reader, "b")
        await send(reader, type="unsubscribe", id="a")
        await subscribed(reader, "c")  # answered in order, so the unsubscription has been seen
        await platform.stored(make_events(1))
        assert {(await receive(reader))["id"] for _ in range(2)} == {"b", "c"}
        await subscribed(reader, "a")  # the id is free again


async def test_two_tenants_never_see_each_other(platform: Platform) -> None:
    async with platform.socket("ak_r_shop") as shop, platform.socket("ak_r_other") as other:
        await subscribed(shop)
        await subscribed(other)
        for _ in range(20):
            await platform.stored([*make_events(1, "shop"), *make_events(1, "other")])
        assert [(await receive(shop))["event"]["project"] for _ in range(20)] == ["shop"] * 20
        assert [(await receive(other))["event"]["project"] for _ in range(20)] == ["other"] * 20
        await send(shop, type="subscribe", id="x", channel="events", project="other")
        assert (await receive(shop))["code"] == "other_project"


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


async def test_a_message_over_64_kib_ends_the_connection(platform: Platform) -> None:
    async with platform.socket() as reader:
        await reader.send("x" * (64 * 1024 + 1))
        assert await closed(reader) == 1009


async def test_subscriptions_of_a_connection_are_bounded(platform: Platform) -> None:
    async with platform.socket() as reader:
        for number in range(20):
            await subscribed(reader, str(number))
        await send(reader, type="subscribe", id="more", channel="events")
        assert (await receive(reader))["code"] == "too_many_subscriptions"


async def test_a_pattern_that_asks_too_much_ends_its_subscription_alone(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, "heavy", where=["metadata.x.re.[ab]*a[ab]{150}c"])
        await subscribed(reader, "light")
        text = "".join(random.Random(1).choices("ab", k=30_000))
        await platform.stored(make_events(1, metadata=json.dumps({"x": text}).encode()))
        messages = [await receive(reader), await receive(reader)]
        assert {(message["type"], message["id"]) for message in messages} == {
            ("error", "heavy"),
            ("event", "light"),
        }
        await platform.stored(make_events(1))
        assert (await receive(reader))["id"] == "light"


async def test_counters_come_every_second_and_count_every_event_once(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, channel="counters")
        total = 0
        by_type: dict[str, int] = {}
        since = time.monotonic()
        for step in range(4):
            await platform.stored(
                [
                    *make_events(30, user_id=f"u{step}"),
                    *make_events(12, event_type="page", user_id="u0"),
                ]
            )
            message = await receive(reader)
            assert (message["type"], message["id"]) == ("counters", "a")
            total += message["events_per_second"]
            for name, number in message["by_type"].items():
                by_type[name] = by_type.get(name, 0) + number
        assert 3 < time.monotonic() - since < 30
        while total < 168:
            message = await receive(reader)
            total += message["events_per_second"]
            for name, number in message["by_type"].items():
                by_type[name] = by_type.get(name, 0) + number
        assert (total, by_type) == (168, {"engagement": 120, "page": 48})
        assert message["visitors"] == 4


async def test_counters_name_a_bounded_number_of_types(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, channel="counters")
        await platform.stored(
            [event for number in range(200) for event in make_events(1, event_type=f"t{number}")]
        )
        message = await receive(reader)
        while not message["by_type"]:
            message = await receive(reader)
        assert len(message["by_type"]) == 51
        assert message["by_type"]["other"] == 150


# faults


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
        async with asyncio.timeout(30):
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
        async with asyncio.timeout(20):
            while (await receive(counter))["type"] != "gap":
                continue


async def test_a_reader_too_slow_is_closed_with_1013_and_200_others_wait_for_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "SEND_SECONDS", 2.0)
    monkeypatch.setattr(sockets, "CLOSE_SECONDS", 60.0)
    closing, close = asyncio.Event(), sockets.Connection._close

    async def noted(self: sockets.Connection, reason: sockets.Close) -> None:
        closing.set()
        await close(self, reason)

    monkeypatch.setattr(sockets.Connection, "_close", noted)
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(
            platform.socket(max_queue=1, ping_interval=None, compression=None, close_timeout=1)
        )
        await subscribed(slow, event="big")
        others = [
            await stack.enter_async_context(platform.socket(compression=None)) for _ in range(200)
        ]
        await asyncio.gather(*(subscribed(other, event="tick") for other in others))
        waits = []
        for _ in range(10):
            await platform.stored(
                make_events(60, event_type="big", metadata=json.dumps({"x": "y" * 20_000}).encode())
            )
            since = time.monotonic()
            await platform.stored(make_events(1, event_type="tick"))
            await asyncio.gather(*(receive(other) for other in others))
            waits.append(time.monotonic() - since)
        assert max(waits) < 10
        await asyncio.wait_for(closing.wait(), 60)
        assert await closed(slow) == 1013


async def test_events_without_room_are_skipped_and_told_as_a_gap(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 10)
    async with platform.socket() as reader:
        await subscribed(reader)
        await platform.stored(make_events(500))
        received = missed = 0
        while received + missed < 500:
            message = await receive(reader)
            received += message["type"] == "event"
            missed += message.get("missed", 0)
        assert received >= 10
        assert missed > 0
        await platform.stored(make_events(1))
        assert (await receive(reader))["type"] == "event"


async def test_at_shutdown_readers_are_told_to_come_again_with_1012(redis_url: str) -> None:
    async with serving(redis_url) as platform:
        reader, idle = await platform.socket(), await platform.socket(None)
        await subscribed(reader)
        signal.raise_signal(signal.SIGTERM)
        assert await closed(reader) == 1012
        assert await closed(idle) == 1012
        await asyncio.wait_for(platform.task, 30)


# server-sent events


class Stream:
    """The lines of a stream, as events."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.lines = answer.aiter_lines()

    async def next(self) -> dict[str, str]:
        event: dict[str, str] = {}
        async with asyncio.timeout(20):
            async for line in self.lines:
                if not line and event:
                    return event
                name, _, value = line.partition(": ")
                event[name] = value
        raise EOFError

    async def rest(self) -> list[dict[str, str]]:
        """All events until the stream ends."""
        events = []
        with suppress(EOFError):
            while True:
                events.append(await self.next())
        return events


@asynccontextmanager
async def stream(
    platform: Platform, token: str = SHOP, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[Stream]:
    async with platform.http() as client:
        request = client.stream(
            "GET",
            "/realtime/events",
            params=query,
            headers={"Authorization": f"Bearer {token}", **(headers or {})},
        )
        async with request as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream"
            yield Stream(answer)


async def test_the_same_events_come_as_server_sent_events(platform: Platform) -> None:
    await platform.stored(make_events(5))
    async with stream(
        platform, event="engagement:click", where=["metadata.page.eq./pricing", "user_id.set"]
    ) as events:
        assert 2000 <= int((await events.next())["retry"]) <= 6000
        assert await events.next() == {
            "id": "5",
            "event": "subscribed",
            "data": '{"type":"subscribed"}',
        }
        passing = make_events(1, user_id="u", metadata=b'{"page": "/pricing"}')
        await platform.stored([*make_events(2), *passing])
        event = await events.next()
        assert (event["id"], event["event"]) == ("8", "event")
        assert json.loads(event["data"])["event"]["id"] == str(passing[0].id)


async def test_counters_come_as_server_sent_events(platform: Platform) -> None:
    async with stream(platform, channel="counters") as events:
        await events.next()
        await events.next()
        await platform.stored(make_events(7))
        counted = 0
        while counted < 7:
            event = await events.next()
            assert event["event"] == "counters"
            counted += json.loads(event["data"])["events_per_second"]
        assert counted == 7


async def test_who_comes_back_is_told_how_many_events_came_meanwhile(platform: Platform) -> None:
    await platform.stored(make_events(9))
    async with stream(platform, headers={"Last-Event-ID": "4"}) as events:
        await events.next()
        await events.next()
        assert await events.next() == {
            "id": "9",
            "event": "gap",
            "data": '{"type":"gap","missed":5}',
        }


async def test_a_silent_stream_has_a_heartbeat_that_tells_where_the_project_stands(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_sent, "HEARTBEAT_SECONDS", 0.2)
    async with stream(platform, event="nothing") as events:
        await platform.stored(make_events(3))
        for _ in range(20):
            event = await events.next()
            if event == {":": "", "id": "3"}:
                break
        assert event == {":": "", "id": "3"}


@pytest.mark.parametrize(
    ("query", "token", "status", "field"),
    [
        ("", "", 401, None),
        ("", "ak_r_nobody", 401, None),
        ("", "ak_w_shop", 403, None),
        ("project=other", "ak_r_shop", 403, "project"),
        ("channel=weather", "ak_r_shop", 400, "channel"),
        ("channel=events&channel=counters", "ak_r_shop", 400, "channel"),
        ("evnt=x", "ak_r_shop", 400, "evnt"),
        ("event=a:b:c", "ak_r_shop", 400, "event"),
        ("event=a&event=b", "ak_r_shop", 400, "event"),
        ("where=x", "ak_r_shop", 400, "where"),
        ("where=metadata.x.re.(", "ak_r_shop", 400, "where"),
        ("channel=counters&event=x", "ak_r_shop", 400, "event"),
        ("project=a%20b", "static-key", 400, "project"),
        ("event=%ff", "ak_r_shop", 400, None),
    ],
)
async def test_a_stream_that_cannot_begin_is_an_error_in_json(
    platform: Platform, query: str, token: str, status: int, field: str | None
) -> None:
    async with platform.http() as client:
        answer = await client.get(
            f"/realtime/events?{query}", headers={"X-API-Key": token} if token else {}
        )
        assert answer.status_code == status
        assert answer.json()["error"].get("field") == field


async def test_a_head_opens_no_stream(platform: Platform) -> None:
    async with platform.http() as client:
        answer = await client.head("/realtime/events", headers={"X-API-Key": "ak_r_shop"})
    assert answer.status_code == 405


async def test_streams_end_at_shutdown(redis_url: str) -> None:
    async with serving(redis_url) as platform, stream(platform) as events:
        await events.next()
        since = time.monotonic()
        signal.raise_signal(signal.SIGTERM)
        await events.rest()
        await asyncio.wait_for(platform.task, 30)
        assert time.monotonic() - since < 15


async def test_a_revoked_key_ends_its_stream(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 0.1)
    async with stream(platform) as events:
        await events.next()
        await set_key(
            platform.redis,
            "ak_r_shop",
            **KEYS["ak_r_shop"] | {"expires_at": datetime.now(UTC) - timedelta(seconds=1)},
        )
        last = await events.rest()
        assert json.loads(last[-1]["data"])["code"] == "unauthorized"


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
    async with asyncio.timeout(20):
        while any(
            [
                await value(f'analytics_realtime_connections{{transport="{name}"}}')
                for name in admission.TRANSPORTS
            ]
        ):
            continue


async def test_health_tells_of_redis(own_valkey: Valkey) -> None:
    async with serving(own_valkey.url) as platform, platform.http() as client:
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["checks"]) == (200, {"redis": "ok"})
        own_valkey.kill()
        answer = await client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert (await client.get("/health/live")).status_code == 200
