"""The line of jobs that wait to share a transaction."""

import asyncio

from analytics.errors import TransientStoreError
from analytics.events import Job
from analytics.queue.line import Line, Waiter
from tests.queue.kit import events


def waiter(name: str, deadline: float = 60.0) -> Waiter:
    job = Job(name, events(2), (), 10)
    return Waiter(job, deadline, asyncio.get_running_loop().create_future())


async def test_who_does_not_wait_any_longer_and_who_waited_too_long_take_no_room() -> None:
    line = Line()
    gone, late, first, second = (
        waiter("gone"), waiter("late", 1.0), waiter("first"), waiter("second"),
    )  # fmt: skip
    for each in (gone, late, first, second):
        line.append(each)
    assert (len(line), line.events, line.size_bytes) == (4, 8, 40)
    gone.result.cancel()
    assert line.take(4, 20, late=2.0) == [first, second]
    assert isinstance(late.result.result(), TransientStoreError)
    assert (len(line), line.events, line.size_bytes) == (0, 0, 0)
