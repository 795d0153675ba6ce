"""The work on requests, shared fairly by their senders, however much they send."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from starlette.types import Receive

from analytics import pipeline
from analytics.errors import TooLarge
from analytics.events import Event
from analytics.roles.collector.body import THREAD_BYTES, read, work_of
from analytics.roles.collector.inflate import inflate
from analytics.roles.collector.line import Request
from analytics.roles.collector.room import Room
from analytics.roles.collector.slices import Slices
from analytics.roles.collector.turns import Turns

P = ParamSpec("P")
T = TypeVar("T")

MAX_BYTES = 64 << 20
"""Of all bodies as they are sent, from their arrival to the answer; half of one sender alone."""


class Workplace:
    """Where one collector works on all its requests."""

    def __init__(self) -> None:
        self.room = Room(MAX_BYTES, "too many bytes of bodies are here, or too many of yours")
        self.slices = Slices()
        self.turns = Turns()
        self._numbers = itertools.count()

    def work(self, sender: str) -> "Work":
        """A context for the work on a new request."""
        return Work(self, Request(sender, next(self._numbers)))


class Work:
    """The work on one request. Its room and its turn end with the context.

    A class, because every request enters one.
    """

    __slots__ = ("_at", "_held", "_request", "size")

    def __init__(self, at: Workplace, request: Request) -> None:
        self._at = at
        self._request = request
        self._held = 0
        self.size = 0
        """How much work the body is, in bytes."""

    async def __aenter__(self) -> "Work":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._at.turns.end(self._request)
        self._at.room.give_back(self.sender, self._held)

    @property
    def sender(self) -> str:
        """Whom the request counts for."""
        return self._request.sender

    async def read(self, receive: Receive) -> bytes:
        """The body as it is sent. Raises what `body.read` raises, and Unavailable without room."""
        return await read(receive, self._hold)

    async def inflate(self, body: bytes, encoding: bytes) -> bytes:
        """The body as its encoding says. Raises what `inflate` and `call` raise."""
        text, self.size = await self.call(_glance, body, encoding)
        if self.size > THREAD_BYTES:
            text = await self.call(inflate, body, encoding)
        return text

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that works on the body, or on what it became.

        If `size` is large, it is called in a thread, in the request's turn; else in a slice of the
        loop. Raises Unavailable where too many wait for a turn.
        """
        if self.size > THREAD_BYTES:
            await self._at.turns.take(self._request)
            return await asyncio.to_thread(function, *args, **kwargs)
        slices = self._at.slices
        if not slices.is_open_to(self._request):
            await slices.wait(self._request)
        began = slices.now()
        try:
            return function(*args, **kwargs)
        finally:
            slices.spent_s += slices.now() - began

    async def run(
        self, events: list[Event], context: pipeline.Context, steps: Sequence[pipeline.Step]
    ) -> pipeline.Result:
        """What `pipeline.run` returns, in as many slices of the loop as it takes."""
        slices = self._at.slices
        turns = pipeline.run_in_turns(events, context, steps)
        while True:
            if not slices.is_open_to(self._request):
                await slices.wait(self._request)
            began = slices.now()
            try:
                next(turns)
            except StopIteration as end:
                result: pipeline.Result = end.value
                return result
            finally:
                slices.spent_s += slices.now() - began

    def _hold(self, size: int) -> None:
        """Take room for so many bytes more. Raises Unavailable."""
        self._at.room.take(self.sender, size)
        self._held += size


def _glance(body: bytes, encoding: bytes) -> tuple[bytes, int]:
    """A body decompressed, and how much work it is; a large one stays as it is until its turn."""
    try:
        text = inflate(body, encoding, THREAD_BYTES)
    except TooLarge:
        return b"", THREAD_BYTES + 1
    size = work_of(text)
    return (text if size <= THREAD_BYTES else b""), size
