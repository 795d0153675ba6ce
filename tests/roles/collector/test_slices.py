"""While one request is worked on, others are answered, whatever its body holds."""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis

from analytics.events import Event
from analytics.pipeline import STEPS, Rules, lookups, run
from analytics.protocols import NATIVE, Decoded, Incoming, Reply
from analytics.redis import key_mirror
from analytics.roles.collector import collector
from analytics.roles.collector.body import THREAD_BYTES
from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES, MAX_INFLATED_BYTES
from analytics.roles.collector.slices import run_in_slices
from analytics.settings import Settings
from tests.bodies import GOOD, incoming
from tests.collecting import running
from tests.visits import GOOGLEBOT, SERVER, browsing, event

WAIT_SECONDS = 1.0
"""A longer wait counts, unless it is a small part of the whole work: the machine may be slow."""

PART = 4


def natives(metadata: Callable[[int], dict[str, Any]], number: int) -> bytes:
    return json.dumps([GOOD | {"metadata": metadata(index)} for index in range(number)]).encode()


def listed(head: str, item: Any, number: int, tail: str = "]}") -> bytes:
    return (head + ",".join([json.dumps(item)] * number) + tail).encode()


BODIES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "agents": (
        "/collect",
        lambda: natives(lambda index: {"$user_agent": f"{'Kindle; ' * 60}{index}"}, 1_500),
    ),
    "agents of another product": (
        "/v1/batch",
        lambda: json.dumps(
            {
                "batch": [
                    {"type": "track", "event": "e", "context": {"userAgent": f"CriOS {index}"}}
                    for index in range(3_000)
                ]
            }
        ).encode(),
    ),
    "addresses": (
        "/collect",
        lambda: natives(
            lambda index: {"$referrer": f"https://{'a.' * 100}{index}/", "$url": "https://x/"},
            20_000,
        ),
    ),
    "a form": (
        "/track",
        lambda: b"data=%5B%7B%22event%22%3A%22e%22%7D%5D" + b"&a=b" * 9_000 + b"%e9" * 3_400_000,
    ),
    "a form of too many fields": ("/matomo.php", lambda: b"idsite=1&" + b"a=b&" * 2_600_000),
    "numbers": (
        "/collect",
        lambda: b'{"x":"\\u0000","metadata":[' + b"1.5," * 499_990 + b"1]}",
    ),
    "uuids": (
        "/i/v1/analytics/events",
        lambda: listed('{"batch":[', {"event": "e", "uuid": "u", "properties": {"a": 1.5}}, 45_000),
    ),
    "actions in a list": (
        "/matomo.php",
        lambda: listed('{"requests":[', "?idsite=1&rec=1&url=http://a.b/c", 40_000),
    ),
    "lines": ("/import", lambda: b'{"event":"e","properties":{"a":1}}\n' * 50_000),
    "lists in lists": ("/collect", lambda: b"[" + b"[" * 500 + b"]" * 500 + b"]"),
}
"""Name → a path and the body of a megabyte, compressed, that takes the most work there."""


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    redis: Redis = Redis.from_url(redis_url)
    await redis.set(key_mirror.SYNCED, "now")
    app = collector.ROLE.app(Settings(redis_url=redis_url, environment="test"))
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://collector", timeout=600) as client,
    ):
        yield client
    await redis.aclose()


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_keeps_liveness_waiting(client: httpx2.AsyncClient, name: str) -> None:
    path, make = BODIES[name]
    body = make()
    packed = gzip.compress(body, 9)
    assert len(body) <= MAX_INFLATED_BYTES
    assert len(packed) <= MAX_COMPRESSED_BYTES
    headers = {"Content-Encoding": "gzip"}
    await client.get("/health/live")

    began = time.monotonic()
    sent = asyncio.create_task(client.post(path, content=packed, headers=headers))
    longest = 0.0
    while not sent.done():
        asked = time.monotonic()
        assert (await client.get("/health/live")).status_code == 200
        await asyncio.sleep(0.001)
        longest = max(longest, time.monotonic() - asked)
    assert (await sent).status_code < 500
    assert longest < max(WAIT_SECONDS, (time.monotonic() - began) / PART)


def kept(events: Iterable[Any]) -> list[tuple[str, bytes]]:
    return [(kept.event_action, kept.metadata) for kept in events]


async def test_slices_are_what_the_whole_would_be() -> None:
    events = [event({"$user_agent": GOOGLEBOT}), event({"$url": "https://a.example/b"}), event()]
    several = [event(action=str(index)) for index in range(12)] + events
    for context in (browsing(), SERVER, browsing(Rules(bots="mark"))):
        whole, sliced = run(several, context), await run_in_slices(several, context, STEPS)
        assert kept(sliced.events) == kept(whole.events)
        assert (sliced.dropped, sliced.note) == (whole.dropped, whole.note)


async def test_what_no_step_looks_at_goes_on_as_the_very_list() -> None:
    several = [event() for _ in range(12)]
    assert (await run_in_slices(several, SERVER, STEPS)).events is several


async def test_new_agents_beyond_a_requests_budget_are_told(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "MAX_NEW", 20)
    body = natives(lambda index: {"$user_agent": f"a new agent {index}"}, 15)
    answer = await client.post("/collect", content=body)
    assert answer.json()["accepted"] == 15
    assert answer.headers["x-analytics"] == "5 without $browser: too many new user agents"


async def test_the_reply_to_a_large_request_is_made_in_a_thread() -> None:
    threads: list[int] = []

    def accept(incoming: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
        threads.append(threading.get_ident())
        return NATIVE.accept(incoming, decoded, accepted)

    protocol = msgspec.structs.replace(NATIVE, accept=accept)
    async with running() as client:
        scope = {"app": SimpleNamespace(state=SimpleNamespace(intake=client.intake))}
        for size in (THREAD_BYTES // 2, THREAD_BYTES + 1):
            sent = incoming(json.dumps(GOOD).encode().ljust(size))
            assert (await collector.take(protocol, sent, scope)).status == 202
    assert [thread == threading.get_ident() for thread in threads] == [True, False]
