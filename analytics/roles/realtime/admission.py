"""Where readers of realtime are let in, over whichever transport: origins, keys, how many at once,
and when they must leave.
"""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.datastructures import Headers, State

from analytics import metrics
from analytics.errors import Forbidden, Unauthorized, Unavailable
from analytics.projects import Key, Keys, authorize
from analytics.roles.http.cors import Origins
from analytics.roles.http.role import token_of
from analytics.roles.realtime.subscriptions import Hub

T = TypeVar("T")

MAX_CONNECTIONS = 2000
RECHECK_SECONDS = 5.0
READY_SECONDS = 0.5
AGAIN_SECONDS = (1, 10)
"""When those whom we send away may come again: at random, so that they do not all come at once."""

TRANSPORTS = ("websocket", "sse")


async def first_of(*coroutines: Coroutine[Any, Any, T]) -> T:
    """The outcome of the first to end; the others are cancelled."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return done.pop().result()


class Lobby:
    """What the readers of this process share, and who may be among them."""

    def __init__(self, state: State, keys: Keys, hub: Hub) -> None:
        self.hub = hub
        self._state = state
        self._keys = keys
        self._origins = Origins(state.settings.cors_origins)
        self._inside = 0
        for transport in TRANSPORTS:
            metrics.realtime_connections.set({"transport": transport}, 0)

    @contextmanager
    def enter(self, transport: str, headers: Headers) -> Iterator[None]:
        """A place for one reader. Raises Forbidden for a page of a foreign origin, Unavailable when
        there is no place or we are stopping.
        """
        origin = headers.get("origin")
        if origin is not None and origin.encode("latin-1") not in self._origins:
            raise Forbidden("pages of this origin may not use realtime here", code="foreign_origin")
        if not self._state.ready:
            raise Unavailable(
                "this server is stopping",
                code="stopping",
                retry_after=random.randint(*AGAIN_SECONDS),
            )
        if self._inside >= MAX_CONNECTIONS:
            raise Unavailable(
                "too many clients are connected here",
                code="too_many_connections",
                retry_after=random.randint(*AGAIN_SECONDS),
            )
        self._inside += 1
        metrics.realtime_connections.inc({"transport": transport})
        try:
            yield
        finally:
            self._inside -= 1
            metrics.realtime_connections.dec({"transport": transport})

    async def identify(self, token: str, headers: Headers) -> Key:
        """The key of a reader. Raises Unauthorized, Forbidden without the scope or from a page it
        is not for, Unavailable when that cannot be told now.
        """
        key = await self._keys.find(token)
        authorize(key, "realtime", origin=headers.get("origin"))
        return key

    async def refuse_page(self, headers: Headers) -> None:
        """Raises Forbidden when the key in the headers is not for pages of their origin; every
        other fault of it is told after the handshake.
        """
        if (token := token_of(headers)) and headers.get("origin"):
            try:
                await self.identify(token, headers)
            except Forbidden as error:
                if error.code == "foreign_origin":
                    raise
            except (Unauthorized, Unavailable):
                return

    async def lose(self, token: str) -> Unauthorized:
        """Wait until a key no longer works: revoked, or expired."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                await self._keys.find(token)
            except Unauthorized as error:
                return error
            except Unavailable:
                continue

    async def closing(self) -> None:
        """Wait until this role is about to stop."""
        while self._state.ready:  # noqa: ASYNC110 - whoever stops the server sets it, and knows nothing of us
            await asyncio.sleep(READY_SECONDS)
        await asyncio.sleep(self._state.settings.shutdown_delay)
