"""Lanes: where questions run, so that those that take long never stand in the way of those that do
not, nor of ingestion.

Every question starts in the light lane, in which a statement may take LIGHT_SECONDS and all of a
question little longer. One that takes longer starts again in the heavy lane, where there are a few
places and a bounded wait for them; it is remembered, and goes there at once until it was quick
there. While somebody waits for a place, so does every question of a shape that was heavy of late:
otherwise many that differ a little would each have to prove it.

What is streamed has a third lane: a bounded number of streams take turns at two connections, slice
by slice, however long their clients read.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakSet

from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import Unavailable
from analytics.queries.database.snapshot import CONNECTIONS, open_engine, share_memory
from analytics.settings import Settings

T = TypeVar("T")

LIGHT_SECONDS = 0.5
LIGHT_QUESTION_SECONDS = 1.0
HEAVY_PLACES = 3
STREAM_CONNECTIONS = 2
MAX_STREAMS = 8
STREAM_SECONDS = 60.0
"""How long a slice waits for its turn."""

MAX_WAITING = 20
PLACE_SECONDS = 10.0
REMEMBERED = 10_000
SHAPE_SECONDS = 60.0


class Streaming:
    """A stream that somebody reads; it is counted as long as it is there."""


class Lanes:
    """The pools of one database. Together they have as many connections as one had."""

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        light = CONNECTIONS - HEAVY_PLACES - STREAM_CONNECTIONS
        self.light = open_engine(
            settings,
            url,
            statement_seconds=LIGHT_SECONDS,
            question_seconds=LIGHT_QUESTION_SECONDS,
            connections=light,
        )
        self.heavy = open_engine(settings, url, connections=HEAVY_PLACES)
        self.slices = open_engine(
            settings, url, connections=STREAM_CONNECTIONS, wait_seconds=STREAM_SECONDS
        )
        share_memory(self.light, self.heavy)
        self._places = asyncio.Semaphore(HEAVY_PLACES)
        self._waiting = 0
        self._known: OrderedDict[Hashable, None] = OrderedDict()
        self._shapes: dict[Hashable, float] = {}
        self._streams: WeakSet[Streaming] = WeakSet()

    async def run(
        self, name: Hashable, shape: Hashable, ask: Callable[[AsyncEngine], Awaitable[T]]
    ) -> T:
        """What `ask` says, of an engine of the lane that is right. Raises Unavailable with code
        `busy` when the heavy lane is full.
        """
        if name not in self._known and not (self._waiting and self._was_heavy(shape)):
            try:
                return await ask(self.light)
            except Unavailable as error:
                if error.code != "too_slow":
                    raise
            self._remember(name, shape)
        async with self._place():
            began = time.monotonic()
            found = await ask(self.heavy)
        if time.monotonic() - began < LIGHT_SECONDS:
            self._known.pop(name, None)
        return found

    def stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same chunks, of one more stream. Raises Unavailable with code `busy` when there are
        too many.
        """
        if len(self._streams) >= MAX_STREAMS:
            raise Unavailable(
                f"{MAX_STREAMS} exports are running, which is the most at once",
                code="busy",
                retry_after=5,
            )
        streaming = Streaming()
        self._streams.add(streaming)
        return self._streamed(chunks, streaming)

    async def _streamed(
        self, chunks: AsyncIterator[bytes], streaming: Streaming
    ) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            self._streams.discard(
                streaming
            )  # a stream that was never begun goes with its generator

    async def dispose(self) -> None:
        """Close all connections."""
        for engine in (self.light, self.heavy, self.slices):
            await engine.dispose()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._places.locked() and self._waiting >= MAX_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await (
                    self._places.acquire()
                )  # at once where a place is free, so that nobody counts as waiting who need not
        except TimeoutError as error:
            raise _busy() from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    def _was_heavy(self, shape: Hashable) -> bool:
        return time.monotonic() - self._shapes.get(shape, -SHAPE_SECONDS) < SHAPE_SECONDS

    def _remember(self, name: Hashable, shape: Hashable) -> None:
        self._known[name] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        if len(self._shapes) > REMEMBERED:
            self._shapes.clear()
        self._shapes[shape] = time.monotonic()


def _busy() -> Unavailable:
    return Unavailable(
        "too many slow questions are being answered; quick questions still are",
        code="busy",
        retry_after=5,
    )
