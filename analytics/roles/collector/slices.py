"""The work of all requests on the event loop, in slices, between which the loop serves others."""

import asyncio
import time
from collections.abc import Callable

from analytics.roles.collector.line import Line, Request

SLICE_SECONDS = 0.01
"""How long the loop works on requests, on all of them together, before it rests."""

REST_TURNS = 20
"""Turns of the loop in a rest. `/health/live` takes seven, from its first byte to its answer."""


class Slices:
    """The slices of one collector. Until one is over, nobody waits."""

    def __init__(self, *, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self._line = Line()
        self.spent_s = 0.0
        """The work in this slice so far. Whoever works adds to it."""
        self._called: Request | None = None
        self._calling = False

    def is_open_to(self, request: Request) -> bool:
        """Whether a request may be worked on now: the slice is not over, nobody waits before it.

        A request that was called goes on until the slice is over.
        """
        return self.spent_s < SLICE_SECONDS and (not self._line or request == self._called)

    async def wait(self, request: Request) -> None:
        """Returns when the slices are open to a request to which they are not."""
        if not self._calling:
            self._calling = True
            asyncio.get_running_loop().call_soon(self._call)
        await self._line.wait(request)

    def _call(self, rest: int = REST_TURNS) -> None:
        """Call one request in each turn of the loop, as long as some wait.

        If the slice is over, let so many turns pass before, and begin another.
        """
        loop = asyncio.get_running_loop()
        if self.spent_s >= SLICE_SECONDS:
            if rest:
                loop.call_soon(self._call, rest - 1)
                return
            self.spent_s = 0.0
        self._called = self._line.call()
        self._calling = self._called is not None
        if self._calling:
            loop.call_soon(self._call)
