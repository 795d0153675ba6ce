"""Large bodies take turns, and so do their senders; small ones wait for nothing."""

import asyncio
import base64
import gzip
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from analytics.errors import BadRequest, Unavailable
from analytics.events import Event
from analytics.roles.collector import turns
from analytics.roles.collector.body import THREAD_BYTES, work_of
from analytics.roles.collector.line import Request
from analytics.roles.collector.turns import LARGE_AT_ONCE, LARGE_OF_A_SENDER, Turns
from analytics.roles.collector.work import Workplace
from tests.collecting import GOOD, Client, MemorySink, error_of, running
from tests.waiting import until

LARGE = b"[" + b" " * THREAD_BYTES + b"]"


async def test_so_many_large_bodies_are_open_at_once_and_small_ones_besides() -> None:
    at = Workplace()
    most = open_now = 0
    leave = asyncio.Event()

    async def hold(sender: str, body: bytes, encoding: bytes) -> None:
        nonlocal open_now, most
        async with at.work(sender) as work:
            assert await work.inflate(body, encoding) == LARGE
            await work.call(bytes)
            open_now += 1
            most = max(most, open_now)
            await leave.wait()
            open_now -= 1

    holders = [
        asyncio.create_task(hold(sender, *sent))
        for sender in "ab"
        for sent in ((LARGE, b""), (gzip.compress(LARGE), b"gzip"), (gzip.compress(LARGE), b"")) * 2
    ]
    await until(lambda: open_now >= LARGE_AT_ONCE)
    for small in (b"[]", b"[" + b" " * (THREAD_BYTES - 2) + b"]"):
        async with at.work("a") as work:
            assert await work.inflate(gzip.compress(small), b"gzip") == small
    leave.set()
    await asyncio.gather(*holders)
    assert most == LARGE_AT_ONCE


async def test_a_large_body_that_cannot_be_inflated_gives_its_turn_back() -> None:
    at = Workplace()
    cut = gzip.compress(b"x" * 9 * THREAD_BYTES)[:-4]
    for _ in range(LARGE_AT_ONCE + 1):
        with pytest.raises(BadRequest, match="cut short"):
            async with at.work("a") as work:
                await work.inflate(cut, b"gzip")


def requests(sender: str, count: int, first: int = 0) -> list[Request]:
    return [Request(sender, first + number) for number in range(count)]


async def order(waiting: Sequence[Request]) -> list[str]:
    """The senders in the order in which their turns begin, when all are there from the start."""
    turns_of, begun = Turns(), list[str]()

    async def take(request: Request) -> None:
        await turns_of.take(request)
        begun.append(request.sender)
        await asyncio.sleep(0)
        turns_of.end(request)

    await asyncio.gather(*map(take, waiting))
    return begun


async def test_a_sender_of_many_large_bodies_delays_another_by_no_turn() -> None:
    begun = await order([*requests("many", 12), *requests("one", 1, 12)])
    assert begun.index("one") == LARGE_OF_A_SENDER


async def test_where_many_senders_wait_each_has_its_turn_before_one_has_two() -> None:
    senders = [f"sender {number}" for number in range(8)]
    begun = await order(
        [*requests("many", 40), *(Request(name, 100 + i) for i, name in enumerate(senders))]
    )
    last = max(begun.index(name) for name in senders)
    assert begun[: last + 1].count("many") <= len(senders) + LARGE_AT_ONCE


async def test_a_turn_whose_request_was_cancelled_is_the_next_ones() -> None:
    one = Turns()
    held = [Request(sender, number) for number, sender in enumerate("abc")]
    for request in held:
        await one.take(request)
    cancelled, following = (
        asyncio.create_task(one.take(Request("d", number))) for number in (3, 4)
    )
    await asyncio.sleep(0)
    one.end(held[0])  # the turn is given to the first of the two, who is cancelled before it runs
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    one.end(Request("d", 3))
    await asyncio.wait_for(following, 60)


async def test_who_has_waited_too_long_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.01)
    one = Turns()
    for request in requests("a", LARGE_OF_A_SENDER):
        await one.take(request)
    with pytest.raises(Unavailable) as refusal:
        async with asyncio.timeout(60):
            await one.take(Request("a", 10))
    assert (refusal.value.code, refusal.value.retry_after > 0) == ("busy", True)
    await one.take(Request("b", 11))


async def test_as_many_wait_as_there_is_room_for_and_one_sender_fills_half_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 8)
    one = Turns()
    for request in requests("a", LARGE_OF_A_SENDER):
        await one.take(request)
    waiting = [asyncio.create_task(one.take(request)) for request in requests("a", 4, 10)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many large bodies"):
        await one.take(Request("a", 20))
    await one.take(Request("b", 21))
    waiting.append(asyncio.create_task(one.take(Request("b", 22))))
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting[:4])
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_has_its_turn_waits_no_longer_and_leaves_its_room_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 4)
    one = Turns()
    for request in requests("a", LARGE_OF_A_SENDER):
        await one.take(request)
    for number in range(10):
        waiting = asyncio.create_task(one.take(Request("a", number + LARGE_OF_A_SENDER)))
        await asyncio.sleep(0)
        one.end(Request("a", number))
        await waiting


def batch(action: str) -> bytes:
    return json.dumps([GOOD | {"event_action": action}] * 3_000).encode()


class SlowSink(MemorySink):
    """A sink that notes who comes, and waits until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[str] = []
        self.open = asyncio.Event()

    async def append(self, events: Sequence[Event]) -> None:
        self.came.append(events[0].event_action)
        await self.open.wait()


async def test_twelve_large_requests_of_one_sender_do_not_keep_anothers_waiting() -> None:
    async with running() as client, AsyncExitStack() as stack:
        sink = client.intake.sink = SlowSink()
        many = [asyncio.create_task(client.send_events(batch("many"))) for _ in range(12)]
        await until(lambda: len(sink.came) == LARGE_OF_A_SENDER)
        stack.callback(sink.open.set)
        honest = asyncio.create_task(client.send_events(batch("one"), x_write_key="ak_w_shop"))
        await until(lambda: len(sink.came) > LARGE_OF_A_SENDER)
        assert sink.came == ["many"] * LARGE_OF_A_SENDER + ["one"]
        sink.open.set()
        answers = await asyncio.gather(honest, *many)
    assert {answer.status_code for answer in answers} == {202}, "all of them can wait"


async def test_a_small_body_of_very_many_events_takes_a_turn_before_it_takes_a_thread() -> None:
    async with running() as client:
        sink = client.intake.sink = SlowSink()
        many = [asyncio.create_task(client.send_events(batch("many"))) for _ in range(2)]
        await until(lambda: len(sink.came) == LARGE_OF_A_SENDER)
        small = b"[" + b"{}," * 4_999 + b"{}]"
        assert len(small) < THREAD_BYTES
        waiting = asyncio.create_task(client.send_events(small))
        await until(lambda: bool(client.intake.workplace.turns._line))
        sink.open.set()
        assert error_of(await waiting) == (400, "no_valid_event")
        await asyncio.gather(*many)


SHARED = {"context": {f"k{number}": "" for number in range(1_000)}}
CODED = base64.b64encode(b"[" + b"1," * 22_000 + b"1]").decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/batch", SHARED | {"batch": [{"type": "track"}] * 200}),
        ("/com.snowplowanalytics.snowplow/tp2", {"data": [{"cx": CODED}]}),
        ("/com.snowplowanalytics.snowplow/tp2", {"data": [{"co": CODED}]}),
    ],
)
async def test_a_small_body_that_hides_much_takes_a_turn_before_it_takes_a_thread(
    path: str, body: object
) -> None:
    small = json.dumps(body).encode()
    assert work_of(small) < THREAD_BYTES
    async with running() as client:
        sink = client.intake.sink = SlowSink()
        many = [asyncio.create_task(client.send_events(batch("many"))) for _ in range(2)]
        await until(lambda: len(sink.came) == LARGE_OF_A_SENDER)
        waiting = asyncio.create_task(client.post(path, content=small))
        await until(lambda: waiting.done() or bool(client.intake.workplace.turns._line))
        waited = not waiting.done()
        sink.open.set()
        assert waited
        assert (await waiting).status_code == 400
        await asyncio.gather(*many)


async def test_what_finds_no_room_is_503_and_the_sender_may_come_again() -> None:
    async with running() as client:
        client.intake.workplace.room.take("192.0.2.1", 32 << 20)
        assert await refusal(client) == (503, "busy")
        assert (await client.send_events(GOOD, x_write_key="ak_w_shop")).status_code == 202
        client.intake.workplace.room.give_back("192.0.2.1", 32 << 20)
        assert (await client.send_events(GOOD)).status_code == 202


async def refusal(client: Client) -> tuple[int, str]:
    answer = await client.send_events(GOOD)
    assert int(answer.headers["retry-after"]) > 0
    return error_of(answer)
