"""Large bodies take turns, so that threads and memory stay bounded however many come at once.

Senders take turns too: the large bodies of one delay another's by about one turn.
"""

import asyncio
from collections import Counter

from analytics.errors import Unavailable
from analytics.roles.collector.line import Line, Request
from analytics.roles.collector.room import AGAIN_SECONDS, Room

LARGE_AT_ONCE = 3
"""Requests with a large body that are processed at once; each may take 100 MB, for seconds."""

LARGE_OF_A_SENDER = 2
"""The same of one sender: it leaves a turn to others."""

MAX_WAITING = 256
"""Large bodies that may wait for their turn; a sender that is alone may have half of them."""

WAIT_SECONDS = 10.0
"""How long a large body may wait for its turn: nginx gives its client up after 15 s."""


class Turns:
    """The turns of one collector's large bodies."""

    def __init__(self) -> None:
        self._room = Room(MAX_WAITING, "too many large bodies wait here, or too many of yours")
        self._line = Line()
        self._taken: set[Request] = set()

    async def take(self, request: Request) -> None:
        """Returns when it is the request's turn, which it has until `end`.

        Raises Unavailable where too many wait, or for too long.
        """
        if request in self._taken:
            return
        if len(self._taken) < LARGE_AT_ONCE and request.sender not in self._full():
            self._taken.add(request)
            return
        self._room.take(request.sender, 1)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._line.wait(request)
        except TimeoutError as error:
            message = f"large bodies take turns, and this one had none within {WAIT_SECONDS:g} s"
            raise Unavailable(message, code="busy", retry_after=AGAIN_SECONDS) from error
        finally:
            self._room.give_back(request.sender, 1)

    def end(self, request: Request) -> None:
        """The end of a request, and of its turn if it has one."""
        if request in self._taken:
            self._taken.remove(request)
            while len(self._taken) < LARGE_AT_ONCE and (called := self._line.call(self._full())):
                self._taken.add(called)

    def _full(self) -> set[str]:
        """The senders that have as many turns as one may have."""
        counts = Counter(request.sender for request in self._taken)
        return {sender for sender, count in counts.items() if count >= LARGE_OF_A_SENDER}
