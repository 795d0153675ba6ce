"""Lanes: a connection pool each for light queries, heavy queries and streams.

A heavy query never delays a light one, nor the storing of events.

Every query starts in the light lane. There a statement may take LIGHT_SECONDS, and all statements
but the last LIGHT_QUERY_SECONDS. A query that takes longer starts again in the heavy lane, which
has a few places and a bounded wait for them. The lane is remembered: the same query goes to the
heavy lane at once, until it was quick there. While anybody waits for a place, so does every query
whose shape was heavy lately; otherwise many queries that differ a little would each have to prove
that they are heavy.

Streams have a third lane: a bounded number of them take turns at two connections, slice by slice,
however slowly their clients read.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from weakref import WeakSet

from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import Unavailable
from analytics.lru import Lru
from analytics.queries.database.snapshot import CONNECTIONS, open_engine, share_memory
from analytics.settings import Settings

Attempt = AbstractAsyncContextManager[AsyncEngine, bool | None]
"""One lane, to try a query in: its engine."""

LIGHT_SECONDS = 0.5
LIGHT_QUERY_SECONDS = 1.0
HEAVY_PLACES = 3
STREAM_CONNECTIONS = 2
MAX_STREAMS = 8
MAX_STREAMS_OF_KEY = 4
SLICE_WAIT_SECONDS = 60.0
"""How long a slice of a stream waits for its turn."""

MAX_WAITING = 20
"""Queries that wait for a heavy place; more are refused."""

PLACE_WAIT_SECONDS = 10.0
MAX_REMEMBERED_QUERIES = 10_000
"""Heavy queries, and shapes, that are remembered."""

SHAPE_SECONDS = 60.0
"""How long a shape counts as heavy."""


class _Token:
    """A stream that is being sent to a holder; it counts while anything refers to it."""

    def __init__(self, holder: Hashable) -> None:
        self.holder = holder


class Lanes:
    """The three pools of one database. Together they have CONNECTIONS connections."""

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        self.light = open_engine(
            settings,
            url,
            statement_seconds=LIGHT_SECONDS,
            query_seconds=LIGHT_QUERY_SECONDS,
            connections=CONNECTIONS - HEAVY_PLACES - STREAM_CONNECTIONS,
        )
        self.heavy = open_engine(settings, url, connections=HEAVY_PLACES)
        self.slices = open_engine(
            settings, url, connections=STREAM_CONNECTIONS, wait_seconds=SLICE_WAIT_SECONDS
        )
        share_memory(self.light, self.heavy)
        self._places = asyncio.Semaphore(HEAVY_PLACES)
        self._waiting = 0
        self._heavy_names: Lru[Hashable, bool] = Lru(MAX_REMEMBERED_QUERIES)
        self._heavy_shapes: Lru[Hashable, float] = Lru(MAX_REMEMBERED_QUERIES)
        self._streams: WeakSet[_Token] = WeakSet()

    def attempts(self, name: Hashable, shape: Hashable) -> Iterator[Attempt]:
        """The lanes in which to try a query, one after the other until its answer is returned:

            for attempt in lanes.attempts(name, shape):
                async with attempt as engine:
                    return await make(engine)

        The heavy lane raises Unavailable with code `busy` if it is full.
        """
        if name not in self._heavy_names and not (self._waiting and self._was_heavy(shape)):
            yield self._light(name, shape)
        yield self._heavy(name)

    @asynccontextmanager
    async def _light(self, name: Hashable, shape: Hashable) -> AsyncIterator[AsyncEngine]:
        """The light lane. A query that is too slow for it is remembered, and its error ends here:
        the heavy lane is next.
        """
        try:
            yield self.light
        except Unavailable as error:
            if error.code != "too_slow":
                raise
            self._remember(name, shape)

    @asynccontextmanager
    async def _heavy(self, name: Hashable) -> AsyncIterator[AsyncEngine]:
        """The heavy lane. A query that was quick there starts in the light one next time."""
        async with self._place():
            started = time.monotonic()
            yield self.heavy
        if time.monotonic() - started < LIGHT_SECONDS:
            self._heavy_names.drop(name)

    def stream(
        self, chunks: AsyncGenerator[bytes, None], holder: Hashable
    ) -> AsyncGenerator[bytes, None]:
        """The same chunks, as one more stream of a holder: a key.

        Raises Unavailable with code `busy` if MAX_STREAMS are being sent, or MAX_STREAMS_OF_KEY to
        this holder.
        """
        own = sum(token.holder == holder for token in self._streams)
        for running, most, whose in (
            (len(self._streams), MAX_STREAMS, ""),
            (own, MAX_STREAMS_OF_KEY, " for one key"),
        ):
            if running >= most:
                raise Unavailable(
                    f"{most} exports are running, which is the most at once{whose}",
                    code="busy",
                    retry_after=5,
                )
        token = _Token(holder)
        self._streams.add(token)
        return self._counted(chunks, token)

    async def _counted(
        self, chunks: AsyncGenerator[bytes, None], token: _Token
    ) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        finally:
            # of a generator that never started this is not reached: its token dies with it
            self._streams.discard(token)

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
            async with asyncio.timeout(PLACE_WAIT_SECONDS):
                # returns without a switch of tasks if a place is free, so nobody sees us waiting
                await self._places.acquire()
        except TimeoutError as error:
            raise _busy() from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    def _was_heavy(self, shape: Hashable) -> bool:
        since = self._heavy_shapes.get(shape)
        return since is not None and time.monotonic() - since < SHAPE_SECONDS

    def _remember(self, name: Hashable, shape: Hashable) -> None:
        self._heavy_names.put(name, True)
        self._heavy_shapes.put(shape, time.monotonic())


def _busy() -> Unavailable:
    return Unavailable(
        "too many slow questions are being answered; quick questions still are",
        code="busy",
        retry_after=5,
    )
