"""The line of jobs that wait to share a transaction."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from analytics.errors import TransientStoreError
from analytics.events import Job


class Waiter(NamedTuple):
    """A waiting job, and until when it must be settled (by the loop's clock).

    `result` is None once the job is settled, else the reason it is not.
    """

    job: Job
    deadline: float
    result: asyncio.Future[Exception | None]


class Line:
    """Waiting jobs, and how much they hold."""

    def __init__(self) -> None:
        self._waiting: deque[Waiter] = deque()
        self.events = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, waiter: Waiter) -> None:
        """A job comes to the end of the line."""
        self._waiting.append(waiter)
        self.events += len(waiter.job.events)
        self.size_bytes += waiter.job.size_bytes

    def take(self, limit: int, limit_bytes: int, late: float) -> list[Waiter]:
        """Jobs from the head of the line that fill a transaction.

        A job whose deadline is before `late` is sent back for a new claim.
        """
        taken: list[Waiter] = []
        events = size_bytes = 0
        while self._waiting and events < limit:
            job = self._waiting[0].job
            count = len(job.events)
            if taken and (events + count > limit or size_bytes + job.size_bytes > limit_bytes):
                break
            waiter = self._waiting.popleft()
            self.events -= count
            self.size_bytes -= job.size_bytes
            if waiter.deadline < late:
                resolve([waiter], TransientStoreError("the job waited too long for a transaction"))
            elif not waiter.result.done():
                taken.append(waiter)
                events, size_bytes = events + count, size_bytes + job.size_bytes
        return taken

    def clear(self, error: TransientStoreError) -> None:
        """Let go of all; the worker will claim them again later."""
        resolve(self._waiting, error)
        self._waiting.clear()
        self.events = self.size_bytes = 0


def resolve(waiters: Iterable[Waiter], failure: Exception | None) -> None:
    """Tell waiters that they are settled, or what kept them from it."""
    for waiter in waiters:
        if not waiter.result.done():
            waiter.result.set_result(failure)
