"""Lanes: where questions run, so that those that take long never stand in the way of those that do not, nor of ingestion.

Every question starts in the light lane, in which a statement may take LIGHT_SECONDS. One that takes longer starts again in the heavy lane, where there
are a few places and a bounded wait for them; it is remembered, and goes there at once the next time. While somebody waits for a place, so does every
question of a kind that was heavy of late: otherwise many that differ a little would each have to prove it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import Unavailable
from analytics.queries.read import CONNECTIONS, open_engine, share_memory
from analytics.settings import Settings

T = TypeVar("T")

LIGHT_SECONDS = 0.5
HEAVY_PLACES = 3
MAX_WAITING = 20
PLACE_SECONDS = 10.0
REMEMBERED = 10_000
KIND_SECONDS = 60.0


class Lanes:
    """The two pools of one database. Together they have as many connections as one had."""

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        self.light = open_engine(settings, url, statement_seconds=LIGHT_SECONDS, connections=CONNECTIONS - HEAVY_PLACES)
        self.heavy = open_engine(settings, url, connections=HEAVY_PLACES)
        share_memory(self.light, self.heavy)
        self._places = asyncio.Semaphore(HEAVY_PLACES)
        self._waiting = 0
        self._known: OrderedDict[Hashable, None] = OrderedDict()
        self._kinds: dict[Hashable, float] = {}

    async def run(self, name: Hashable, kind: Hashable, ask: Callable[[AsyncEngine], Awaitable[T]], *, heavy: bool = False) -> T:
        """What `ask` says, of an engine of the lane that is right. Raises Unavailable with code `busy` when the heavy lane is full."""
        if not heavy and name not in self._known and not (self._waiting and self._was_heavy(kind)):
            try:
                return await ask(self.light)
            except Unavailable as error:
                if error.code != "too_slow":
                    raise
            self._remember(name, kind)
        async with self._place():
            return await ask(self.heavy)

    async def dispose(self) -> None:
        """Close all connections."""
        await self.light.dispose()
        await self.heavy.dispose()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._places.locked() and self._waiting >= MAX_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._places.acquire()  # at once where a place is free, so that nobody counts as waiting who need not
        except TimeoutError as error:
            raise _busy() from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    def _was_heavy(self, kind: Hashable) -> bool:
        return time.monotonic() - self._kinds.get(kind, -KIND_SECONDS) < KIND_SECONDS

    def _remember(self, name: Hashable, kind: Hashable) -> None:
        self._known[name] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        if len(self._kinds) > REMEMBERED:
            self._kinds.clear()
        self._kinds[kind] = time.monotonic()


def _busy() -> Unavailable:
    return Unavailable("too many questions that take long are being answered; those that are quick still are", code="busy", retry_after=5)
