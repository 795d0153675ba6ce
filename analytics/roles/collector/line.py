"""A line of requests in which senders take turns: nobody waits for all requests of another."""

import asyncio
from bisect import insort
from collections.abc import Collection
from operator import itemgetter
from typing import NamedTuple


class Request(NamedTuple):
    """A request, as far as its turn depends on it."""

    sender: str
    """Whom it counts for: a key, or a household of addresses."""
    number: int
    """Requests are numbered as they come."""


class Line:
    """Requests that wait until they are called.

    The next is of the sender called longest ago, and of its requests the one that came first. So
    what has begun is done before more of the same sender begins.
    """

    def __init__(self) -> None:
        self._queues: dict[str, list[tuple[int, asyncio.Future[None]]]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    async def wait(self, request: Request) -> None:
        """Returns when the request is called. One that is cancelled leaves the line."""
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (request.number, called)
        insort(self._queues.setdefault(request.sender, []), place, key=itemgetter(0))
        try:
            await called
        finally:
            if called.cancelled():
                self._remove(request.sender, place)

    def call(self, without: Collection[str] = ()) -> Request | None:
        """Call the next request, of another sender than those; None if none waits."""
        while (sender := self._next(without)) is not None:
            queue = self._queues[sender]
            number, called = queue[0]
            self._remove(sender, queue[0])
            if not called.cancelled():
                if queue:
                    self._queues[sender] = self._queues.pop(sender)  # now the last
                called.set_result(None)
                return Request(sender, number)
        return None

    def _next(self, without: Collection[str]) -> str | None:
        """The sender that was called longest ago."""
        return next((sender for sender in self._queues if sender not in without), None)

    def _remove(self, sender: str, place: tuple[int, asyncio.Future[None]]) -> None:
        """Take a place out of the line, if it is still there."""
        queue = self._queues.get(sender, [])
        if place in queue:
            queue.remove(place)
        if not queue:
            self._queues.pop(sender, None)
