"""Admission of readers, on every transport: origins, keys, how many at once, and until when."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from starlette.datastructures import Headers, State

from analytics import metrics
from analytics.errors import Forbidden, Unauthorized, Unavailable
from analytics.projects import ApiKey, KeyCache, authorize, digest
from analytics.roles.http.cors import Origins
from analytics.roles.http.credentials import token_of
from analytics.roles.realtime.subscriptions import Hub

T = TypeVar("T")

MAX_CONNECTIONS = 2000
MAX_CONNECTIONS_A_KEY = MAX_CONNECTIONS // 2
"""So that the readers of one key leave places for those of others."""

MAX_UNKNOWN = 200
"""Readers at once that have not sent their key yet. They take none of MAX_CONNECTIONS."""

AUTH_SECONDS = 5.0
"""How long a reader may take to send its key."""

RECHECK_SECONDS = 5.0
"""How often the key of a connected reader is checked again."""

READY_SECONDS = 0.5
"""How often a reader's task looks whether this role is stopping."""

AGAIN_SECONDS = (1, 10)
"""The least and the most Retry-After: a random one, so that readers do not all return at once."""

TRANSPORTS = ("websocket", "sse")


async def first_of(*coroutines: Coroutine[Any, Any, T]) -> T:
    """The outcome of the first coroutine to end; the others are cancelled."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return done.pop().result()


def between(least: int, most: int) -> int:
    """A random whole number, both ends included."""
    return least + secrets.randbelow(most - least + 1)


class Admission:
    """Admits readers to this process, and says when they must leave."""

    def __init__(self, state: State, keys: KeyCache, hub: Hub) -> None:
        self.hub = hub
        self._state = state
        self._keys = keys
        self._origins = Origins(state.settings.cors_origins)
        self._connected: Counter[bytes] = Counter()
        self._unknown: dict[asyncio.Timeout, None] = {}
        for transport in TRANSPORTS:
            metrics.realtime_connections.set({"transport": transport}, 0)

    def open_to(self, headers: Headers) -> None:
        """Raises Forbidden for a page of a foreign origin, Unavailable when this role is stopping
        or has no place left.
        """
        origin = headers.get("origin")
        if origin is not None and origin.encode("latin-1") not in self._origins:
            raise Forbidden("pages of this origin may not use realtime here", code="foreign_origin")
        if not self._state.ready:
            raise _refusal("this server is stopping", code="stopping")
        self._check_room(token_of(headers))

    @contextmanager
    def place(self, transport: str, token: str) -> Iterator[None]:
        """A place for a reader whose key is known, as long as the context is open.

        Raises Unavailable when all places are taken, or all that its key may have.
        """
        self._check_room(token)
        key = digest(token)
        self._connected[key] += 1
        metrics.realtime_connections.inc({"transport": transport})
        try:
            yield
        finally:
            self._connected[key] -= 1
            self._connected += Counter()  # forgets keys without readers
            metrics.realtime_connections.dec({"transport": transport})

    @asynccontextmanager
    async def unknown(self) -> AsyncIterator[None]:
        """The time in which a reader must send its key.

        Raises TimeoutError after AUTH_SECONDS, or sooner for the one that has waited longest when
        MAX_UNKNOWN wait: who has a key sends it at once.
        """
        async with asyncio.timeout(AUTH_SECONDS) as limit:
            if len(self._unknown) >= MAX_UNKNOWN:
                longest = next(iter(self._unknown))
                del self._unknown[longest]
                longest.reschedule(asyncio.get_running_loop().time())
            self._unknown[limit] = None
            try:
                yield
            finally:
                self._unknown.pop(limit, None)

    def _check_room(self, token: str | None) -> None:
        if self._connected.total() >= MAX_CONNECTIONS:
            message = "too many clients are connected here"
            raise _refusal(message, code="too_many_connections")
        if token is not None and self._connected[digest(token)] >= MAX_CONNECTIONS_A_KEY:
            message = "too many clients of this key are connected here"
            raise _refusal(message, code="too_many_connections")

    async def identify(self, token: str, headers: Headers) -> ApiKey:
        """The key of a reader.

        Raises Unauthorized; Forbidden without the scope, or from a page that the key is not for;
        Unavailable when keys cannot be checked now.
        """
        key = await self._keys.find(token)
        authorize(key, "realtime", origin=headers.get("origin"))
        return key

    async def knows(self, token: str, headers: Headers) -> bool:
        """Whether the key in the headers opens realtime.

        Raises Forbidden when it is not for pages of their origin. Other faults of a key are
        reported after the handshake.
        """
        try:
            await self.identify(token, headers)
        except (Forbidden, Unauthorized, Unavailable) as error:
            if error.code == "foreign_origin":
                raise
            return False
        return True

    async def lose(self, token: str) -> Unauthorized:
        """Wait until a key stops working: it was revoked, or it expired."""
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
        # the server sets `ready`, and it knows nothing of us: so we must poll
        while self._state.ready:  # noqa: ASYNC110
            await asyncio.sleep(READY_SECONDS)
        await asyncio.sleep(self._state.settings.shutdown_delay)


def _refusal(message: str, *, code: str) -> Unavailable:
    return Unavailable(message, code=code, retry_after=between(*AGAIN_SECONDS))
