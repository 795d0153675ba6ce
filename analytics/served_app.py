"""One app under hypercorn: how it is served, and how it ends."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any, cast

import hypercorn.protocol
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.events import Updated
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.utils import LifespanFailureError
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from analytics.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS = 30
"""From the signal to the end: shutdown_delay, open requests, and the flush of the lifespans."""

DRAIN_SECONDS = 25
"""The part of STOP_SECONDS for open requests; shutdown_delay is taken off it."""

READ_SECONDS = {"collector": 30}
"""Role → how long a client may pause within a request.

Only the collector reads bodies. Elsewhere a silent client may be reading a long response.
"""

BACKLOG = 2048
"""Connections that the kernel holds until we accept them."""

SERVICE_RESTART = 1012
GOODBYE_SECONDS = 1
"""How long the app of a WebSocket, and then its client, may take to end it."""


class _TimedH2(H2Protocol):
    """HTTP/2 on which an idle connection is closed from its first byte on.

    hypercorn stops the timer when the client's preface comes, and goes on with it only after the
    first whole request: without one, the connection would stay for ever.
    """

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        """Begin, after an upgrade of HTTP/1.1 with the headers of its request."""
        await super().initiate(headers, settings)
        if headers is None:
            await self.send(Updated(idle=True))


hypercorn.protocol.H2Protocol = _TimedH2  # type: ignore[attr-defined]


class ServedApp:
    """One app under hypercorn, and its open WebSockets."""

    def __init__(
        self, name: str, app: Starlette, listener: socket.socket, settings: Settings
    ) -> None:
        self.name = name
        self.app = app
        self.listener = listener
        self.config = _config(name, settings)
        self.lifespan: asyncio.Task[None] | None = None
        self.sockets: set[asyncio.Task[None]] = set()
        self.closing = False

    async def serve(self, trigger: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Serve until the trigger returns. Raises the app's error if it cannot start."""
        self.config.bind = [f"fd://{self.listener.detach()}"]
        try:
            await serve(cast(Any, self), self.config, shutdown_trigger=trigger, mode="asgi")
        except LifespanFailureError as failure:
            raise (failure.__context__ or failure) from None  # the app's own error
        except Exception:
            if not self.closing:
                raise
            log.exception("a connection of the %s failed while it was closed", self.name)
        finally:
            await self._end_lifespan()

    async def _end_lifespan(self) -> None:
        """What hypercorn leaves undone when it is cut off while the app starts."""
        if self.lifespan is None or self.lifespan.done():
            return
        if not self.lifespan.cancelling():
            self.lifespan.cancel()
        await asyncio.wait([self.lifespan])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app."""
        match scope["type"]:
            case "lifespan":
                await self._live(scope, receive, send)
            case "websocket":
                await self._talk(scope, receive, send)
            case _:
                await self.app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's lifespan. One that is cut off has not failed, so it does not say so."""
        self.lifespan = task = cast("asyncio.Task[None]", asyncio.current_task())

        async def said(message: Message) -> None:
            if not (task.cancelling() and message["type"].endswith(".failed")):
                await send(message)

        await self.app(scope, receive, said)

    async def _talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket. It would outlast any wait, so `close` ends it with 1012."""
        task = asyncio.ensure_future(self.app(scope, receive, send))
        self.sockets.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not self.closing:
                raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await send({"type": "websocket.close", "code": SERVICE_RESTART})
        finally:
            self.sockets.discard(task)

    async def close(self) -> None:
        """End the WebSockets, and hypercorn's pings.

        A ping's task sleeps for up to `websocket_ping_interval`, and holds the connection.
        """
        self.closing = True
        for task in self.sockets:
            task.cancel()
        if self.sockets:
            await asyncio.wait(self.sockets, timeout=GOODBYE_SECONDS)
        _cancel("WSStream._send_pings")

    def hurry(self) -> None:
        """Wait for no open request when it closes."""
        self.config.graceful_timeout = 0


def cut_connections() -> None:
    """Cut off the open connections of all apps."""
    _cancel("worker_serve.<locals>._server_callback")


def _cancel(name: str) -> None:
    """Cancel the tasks that hypercorn made of its function of this name."""
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "") == name:
            task.cancel()


def _config(role: str, settings: Settings) -> Config:
    config = Config()
    config.backlog = BACKLOG
    config.graceful_timeout = DRAIN_SECONDS - settings.shutdown_delay
    config.read_timeout = READ_SECONDS.get(role)
    config.shutdown_timeout = STOP_SECONDS
    config.websocket_max_message_size = 64 * 1024
    config.websocket_ping_interval = 20
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)  # no `Running on`: we log one line for all roles
    return config
