"""A running realtime role, the keys that it knows, and readers of it: sockets and streams."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import msgspec
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from analytics import projects, server
from analytics.embedded import free_port
from analytics.events import Event
from analytics.live import publish
from analytics.projects import ApiKey
from analytics.redis import key_mirror
from analytics.roles.realtime import realtime
from analytics.settings import Settings
from analytics.tasks import ENDING
from tests.waiting import PATIENCE_SECONDS

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
            base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_SECONDS, trust_env=False
        )

    async def stored(self, events: list[Event]) -> None:
        await publish(self.redis, events)


async def set_key(redis: Redis, token: str, **fields: Any) -> None:
    known: dict[str, Any] = {"id": 1, "prefix": token[:12], **fields}
    await redis.hset(
        key_mirror.KEYS,
        mapping={projects.digest(token).hex(): msgspec.msgpack.encode(ApiKey(**known))},
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
    heard = {number: signal.getsignal(number) for number in ENDING}
    task = asyncio.create_task(
        server.serve(
            {"realtime": realtime.ROLE.app(config)}, {"realtime": listener}, config, ready=ready.set
        )
    )
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
        yield Platform(config.port, redis, task)
    finally:
        if not task.done():
            signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        for number, handler in heard.items():  # after its signal, a process ignores all others
            signal.signal(number, handler)
        await redis.aclose()


async def send(reader: ClientConnection, **message: Any) -> None:
    await reader.send(json.dumps(message))


async def receive(reader: ClientConnection, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(reader.recv(), seconds))
    return message


async def subscribed(reader: ClientConnection, id_: str = "a", **request: Any) -> None:
    await send(reader, **({"type": "subscribe", "id": id_, "channel": "events"} | request))
    assert await receive(reader) == {"type": "subscribed", "id": id_}


async def closed(reader: ClientConnection, seconds: float = PATIENCE_SECONDS) -> int | None:
    """Read to the end, and return the code of the close."""
    async with asyncio.timeout(seconds):
        try:
            while True:
                await reader.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else None


class Stream:
    """The lines of a stream, as events."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.lines = answer.aiter_lines()

    async def next(self) -> dict[str, str]:
        event: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
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
