"""While one request is worked on, others are answered, whatever its body holds."""

import asyncio
import gzip
import itertools
import json
import statistics
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
from analytics.pipeline import STEPS, Context, Result, Rules, Visit, lookups, run
from analytics.pipeline import agent as agents
from analytics.pipeline.lookups import SAVED_SECONDS, SENDER_SHARE, Lookup, LookupTime
from analytics.protocols import NATIVE, Decoded, Incoming, Reply
from analytics.redis import key_mirror
from analytics.roles.collector import collector
from analytics.roles.collector.body import THREAD_BYTES
from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES, MAX_INFLATED_BYTES
from analytics.roles.collector.slices import REST_TURNS, SLICE_SECONDS
from analytics.roles.collector.work import Workplace
from analytics.settings import Settings
from tests.bodies import GOOD, incoming
from tests.collecting import running
from tests.serving import exchange, serving
from tests.visits import GOOGLEBOT, SERVER, browsing, event

WAIT_SECONDS = 1.0
"""A longer wait counts, unless it is a small part of the whole work: the machine may be slow."""

PART = 4

WHOLE_SLICE = SLICE_SECONDS * 1.25
"""A piece of work after which no slice goes on."""

LIVE = b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"


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


class Clock:
    """A clock of work: it stands still, except when a piece of work moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Loop:
    """Counts the turns of the event loop, and works on pieces in them."""

    def __init__(self, piece_seconds: float) -> None:
        self.turn = 0
        self.worked: list[tuple[int, str]] = []
        """The turn of each piece, and whose it was."""
        self.at = Workplace()
        self._clock = self.at.slices.now = Clock()
        self._piece_seconds = piece_seconds

    def piece(self, sender: str) -> None:
        self._clock.seconds += self._piece_seconds
        self.worked.append((self.turn, sender))

    async def request(self, sender: str, pieces: int) -> None:
        async with self.at.work(sender) as work:
            for _ in range(pieces):
                await work.call(self.piece, sender)

    async def run(self, *requests: tuple[str, int]) -> None:
        """Work on requests that all come at once: their senders and numbers of pieces."""
        working = asyncio.gather(*(self.request(*each) for each in requests))
        while not working.done():
            self.turn += 1
            await asyncio.sleep(0)
        await working


async def test_all_requests_together_work_for_a_slice_and_then_the_loop_has_its_turns() -> None:
    loop = Loop(WHOLE_SLICE)
    await loop.run(*[("a", 3)] * 20, *[("b", 3)] * 20)
    turns = [turn for turn, _ in loop.worked]
    assert len(turns) == 120
    assert min(later - sooner for sooner, later in itertools.pairwise(turns)) >= REST_TURNS


async def test_a_slice_is_shared_by_as_many_pieces_as_fit_and_ends_with_the_last() -> None:
    loop = Loop(SLICE_SECONDS / 4.5)
    await loop.run(*[("a", 1)] * 50, *[("b", 1)] * 50)
    turns = [turn for turn, _ in loop.worked]
    rests = [n + 1 for n in range(99) if turns[n + 1] - turns[n] >= REST_TURNS]
    assert rests == list(range(5, 100, 5))


async def test_what_needs_less_than_a_slice_waits_for_no_turn() -> None:
    loop = Loop(SLICE_SECONDS / 1_000)
    await loop.run(*[("a", 3)] * 20, *[("b", 3)] * 20)
    assert len({turn for turn, _ in loop.worked}) == 1


async def test_senders_take_turns_at_slices_however_many_requests_one_has_open() -> None:
    loop = Loop(WHOLE_SLICE)
    await loop.run(*[("many", 5)] * 20, ("one", 5))
    senders = [sender for _, sender in loop.worked]
    assert senders[:10].count("one") >= 4
    assert senders[10:].count("one") <= 1


async def test_a_request_that_has_begun_is_done_before_the_next_of_its_sender_begins() -> None:
    """So only a few of a sender's bodies are decompressed at any time."""
    loop = Loop(WHOLE_SLICE)
    begun: list[int] = []

    async def request(number: int) -> None:
        async with loop.at.work("a") as work:
            for _ in range(3):
                await work.call(loop.piece, "a")
                begun.append(number)

    await asyncio.gather(*map(request, range(10)))
    assert begun == [number for number in range(10) for _ in range(3)]


async def test_a_request_that_was_called_goes_on_until_the_slice_is_over() -> None:
    loop = Loop(SLICE_SECONDS / 1_000)
    loop.at.slices.spent_s = SLICE_SECONDS
    await loop.run(("a", 3), ("b", 3))
    assert [sender for _, sender in loop.worked] == ["a"] * 3 + ["b"] * 3


async def test_who_comes_while_others_wait_goes_after_them() -> None:
    loop = Loop(WHOLE_SLICE / 4)
    begun: list[int] = []

    async def request(number: int) -> None:
        async with loop.at.work("a") as work:
            await work.call(begun.append, number)
            await work.call(loop.piece, "a")

    tasks = []
    for number in range(60):
        tasks.append(asyncio.create_task(request(number)))
        if number >= 20:  # these come one by one
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert begun == list(range(60))


async def test_a_request_that_was_cancelled_while_it_waited_holds_up_nobody() -> None:
    loop = Loop(WHOLE_SLICE)
    tasks = [asyncio.create_task(loop.request("a", 3)) for _ in range(4)]
    while len(loop.worked) < 2:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    for task in tasks[:3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [task.cancelled() for task in tasks] == [True, True, True, False]


async def test_however_many_requests_are_open_liveness_waits_for_two_slices_at_most() -> None:
    """Over the wire, since the web server takes turns of the loop too."""
    worked = 0

    def put_much(visit: Visit) -> None:
        nonlocal worked
        worked += 1
        clock.seconds += WHOLE_SLICE

    async with running() as client, serving(client.app) as port:
        intake = client.app.state.intake
        clock = intake.workplace.slices.now = Clock()
        intake.steps = (put_much,)
        body = natives(lambda index: {"$at": index}, 60)
        requests = [asyncio.create_task(client.send_events(body)) for _ in range(20)]
        waits = []
        for _ in range(10):
            before = worked
            assert b"alive" in await exchange(port, LIVE)
            waits.append(worked - before)
        assert not any(request.done() for request in requests)
        assert statistics.median(waits) <= 2
        assert {answer.status_code for answer in await asyncio.gather(*requests)} == {202}


async def sliced(events: list[Event], context: Context) -> Result:
    async with Workplace().work("a") as work:
        return await work.run(events, context, STEPS)


def kept(events: Iterable[Any]) -> list[tuple[str, bytes]]:
    return [(kept.event_action, kept.metadata) for kept in events]


async def test_slices_are_what_the_whole_would_be() -> None:
    events = [event({"$user_agent": GOOGLEBOT}), event({"$url": "https://a.example/b"}), event()]
    several = [event(action=str(index)) for index in range(12)] + events
    for context in (browsing(), SERVER, browsing(Rules(bots="mark"))):
        whole, parts = run(several, context), await sliced(several, context)
        assert kept(parts.events) == kept(whole.events)
        assert (parts.dropped, parts.note) == (whole.dropped, whole.note)


async def test_what_no_step_looks_at_goes_on_as_the_very_list() -> None:
    several = [event() for _ in range(12)]
    assert (await sliced(several, SERVER)).events is several


async def test_new_agents_beyond_a_requests_budget_are_told(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "MAX_NEW", 20)
    body = natives(lambda index: {"$user_agent": f"a new agent {index}"}, 15)
    answer = await client.post("/collect", content=body)
    assert answer.json()["accepted"] == 15
    assert answer.headers["x-analytics"] == "5 without $browser: too many new user agents"


async def test_many_requests_of_new_agents_take_their_senders_time_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()

    def slow(agent: str) -> tuple[tuple[str, str], ...]:
        clock.seconds += 0.01
        return (("$browser", "Slow"),)

    monkeypatch.setattr(agents, "_facts", Lookup(slow))
    async with running() as client:
        time_for = client.intake.lookup_time = LookupTime(now=clock)
        bodies = [
            natives(lambda index, number=number: {"$user_agent": f"{number} {index}"}, 90)  # type: ignore[misc]
            for number in range(40)
        ]
        answers = await asyncio.gather(*map(client.send_events, bodies))
        with_browser = sum(b"Slow" in event.metadata for event in client.sink.events)
        assert [answer.json()["accepted"] for answer in answers] == [90] * 40
        assert with_browser * 0.01 == pytest.approx(SAVED_SECONDS * SENDER_SHARE, rel=0.5)
        assert "without $browser: too many new user agents" in answers[-1].headers["x-analytics"]
        assert "x-analytics" not in (await client.send_events(bodies[0])).headers, "it is known"
        other = await client.send_events(bodies[-1], x_write_key="ak_w_shop")
        assert "x-analytics" not in other.headers
        assert time_for.is_left("key 1")


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
            async with client.intake.workplace.work("a") as work:
                await work.inflate(sent.body, b"")
                assert (await collector.take(protocol, sent, scope, work)).status == 202
    assert [thread == threading.get_ident() for thread in threads] == [True, False]
