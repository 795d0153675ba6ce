"""Who waits is called: senders take turns, and of one sender the first request is next."""

import asyncio
from collections.abc import Collection, Sequence

import pytest

from analytics.roles.collector.line import Line, Request


async def order(line: Line, waiting: Sequence[Request]) -> list[Request]:
    """The order in which these are called, who come as they stand here."""
    tasks = [asyncio.create_task(line.wait(request)) for request in waiting]
    await asyncio.sleep(0)
    called = []
    while request := line.call():
        called.append(request)
    await asyncio.gather(*tasks)
    assert not line
    return called


async def test_senders_take_turns_however_many_requests_one_has() -> None:
    many, few, one = (
        [Request(name, 10 * i + n) for n in range(10)] for i, name in enumerate("abc")
    )
    assert await order(Line(), [*many[:4], *few[:2], *one[:1]]) == [
        *(many[0], few[0], one[0]),
        *(many[1], few[1]),
        *many[2:4],
    ]


async def test_of_one_sender_the_request_that_came_first_is_next_though_it_waits_again() -> None:
    line = Line()
    again = Request("a", 0)
    assert await order(line, [Request("a", 1), Request("a", 2), again]) == [
        again,
        Request("a", 1),
        Request("a", 2),
    ]


@pytest.mark.parametrize(
    ("without", "called"), [({"a"}, Request("b", 2)), ({"a", "b"}, None), ((), Request("a", 1))]
)
async def test_a_sender_may_be_left_out(without: Collection[str], called: Request | None) -> None:
    line = Line()
    tasks = [asyncio.create_task(line.wait(Request(*each))) for each in (("a", 1), ("b", 2))]
    await asyncio.sleep(0)
    assert line.call(without) == called
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_is_cancelled_has_left_the_line_at_once() -> None:
    line = Line()
    tasks = [asyncio.create_task(line.wait(Request("a", number))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert line.call() == Request("a", 1)
    tasks[2].cancel()
    assert line.call() is None
    assert not line
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [
        asyncio.CancelledError,
        type(None),
        asyncio.CancelledError,
    ]
    assert not line


async def test_who_leaves_the_line_costs_its_sender_no_turn() -> None:
    line = Line()
    waiting = [Request("a", 0), Request("a", 1), Request("b", 2)]
    tasks = [asyncio.create_task(line.wait(request)) for request in waiting]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert [line.call(), line.call(), line.call()] == [*waiting[1:], None]
    await asyncio.gather(*tasks[1:])
