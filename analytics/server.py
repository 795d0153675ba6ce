"""Serves the apps of the chosen roles on one event loop.

A signal, or the end of one app, stops all of them.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, cast

import hypercorn.protocol
import uvloop
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from hypercorn.events import Updated
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.utils import LifespanFailureError
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from analytics.errors import CommandError, ConfigurationError
from analytics.settings import Settings
from analytics.tasks import heard

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

ADVICE = {
    errno.EADDRINUSE: "end what uses it, or set {}",
    errno.EACCES: "ports below 1024 are root's, set {}",
    errno.EADDRNOTAVAIL: "set HOST to an address of this machine",
}
"""Error → what to do when a port cannot be bound; {} is the setting of the port."""

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


def bind(role: str, settings: Settings, port: int) -> socket.socket:
    """Bind the port of a role.

    Raises CommandError that names the role, port and setting if the port is in use or forbidden;
    ConfigurationError if HOST is wrong.
    """
    variable = "PORT" if settings.port == port else f"{role.upper()}_PORT"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(
            f"HOST is wrong ({settings.host!r}): {error.strerror}", field="HOST"
        ) from error
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # drops a client that vanished or does not read, even where no read has a time-out
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STOP_SECONDS * 1000)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        advice = ADVICE.get(error.errno or 0, "set HOST or {}").format(variable)
        raise CommandError(
            f"the {role} cannot listen on {settings.host}:{port}: {error.strerror}; {advice}"
        ) from error
    return listener


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end on uvloop.

    On asyncio's own loop, from Python 3.12 on, an open WebSocket would block shutdown for ever.
    """
    # modules live for ever: without this, a full collection takes 40 ms at every tenth question
    gc.freeze()
    # requests leave few cycles: a collection at every 700 objects took 5 % of a role's time
    gc.set_threshold(10_000)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def serve(
    apps: Mapping[str, Starlette],
    listeners: Mapping[str, socket.socket],
    settings: Settings,
    *,
    ready: Callable[[], None] | None = None,
    failure: "Future[None] | None" = None,
) -> None:
    """Serve each role's app on its listener; call `ready` once all of them take requests.

    The first SIGINT, SIGTERM or SIGHUP stops all: not ready, `shutdown_delay`, close connections,
    flush. A second signal ends the wait. `failure` ends all too, and its error is raised. Raises
    the error of the first app that fails, and CommandError if the end takes longer than
    STOP_SECONDS.
    """
    servers = [_Server(name, app, listeners[name], settings) for name, app in apps.items()]
    ports = {name: listeners[name].getsockname()[1] for name in apps}
    stopping, close = asyncio.Event(), asyncio.Event()
    starting = set(apps)

    async def until_closed(server: _Server) -> None:
        starting.discard(server.name)
        if not starting and not stopping.is_set():
            places = ", ".join(f"{name} on port {port}" for name, port in ports.items())
            log.info("serving %s", places)
            if ready is not None:
                ready()
        await close.wait()

    asyncio.get_running_loop().set_exception_handler(_on_exception)
    tasks = [
        asyncio.create_task(server.serve(partial(until_closed, server)), name=server.name)
        for server in servers
    ]
    with _on_signal(stopping.set, lambda: [task.cancel() for task in tasks]):
        watch = asyncio.create_task(stopping.wait())
        fatal = asyncio.wrap_future(failure or Future())
        ends: tuple[asyncio.Future[Any], ...] = (watch, fatal, *tasks)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        log.info("stopping")
        for app in apps.values():
            app.state.ready = False
        if stopping.is_set():
            await asyncio.wait(tasks, timeout=settings.shutdown_delay)
        close.set()
        for server in servers:
            await server.close()
        done, late = await asyncio.wait(tasks, timeout=STOP_SECONDS - settings.shutdown_delay)
    if fatal.done():
        fatal.result()
    for task in tasks:
        if task in done and not task.cancelled() and (error := task.exception()):
            raise error
    if late:
        names = ", ".join(task.get_name() for task in late)
        raise CommandError(
            f"{names} did not end within {STOP_SECONDS} s and was cut off; "
            "what was acknowledged is safe in the queue"
        )


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Python 3.11 reports each connection that we cut off at the end as an error; hide those."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


class _Server:
    """One app under hypercorn, and its open WebSockets."""

    def __init__(
        self, name: str, app: Starlette, listener: socket.socket, settings: Settings
    ) -> None:
        self.name = name
        self.app = app
        self.listener = listener
        self.config = _config(name, settings)
        self.sockets: set[asyncio.Task[None]] = set()
        self.closing = False

    async def serve(self, trigger: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Serve until the trigger returns. Raises the app's error if it cannot start."""
        self.config.bind = [f"fd://{self.listener.detach()}"]
        try:
            await hypercorn_serve(
                cast(Any, self), self.config, shutdown_trigger=trigger, mode="asgi"
            )
        except LifespanFailureError as failure:
            raise (failure.__context__ or failure) from None  # the app's own error
        except Exception:
            if not self.closing:
                raise
            log.exception("a connection of the %s failed while it was closed", self.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app. WebSockets would outlast any wait, so `close` ends them with 1012."""
        if scope["type"] != "websocket":
            return await self.app(scope, receive, send)
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
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), "__qualname__", "") == "WSStream._send_pings":
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


@contextlib.contextmanager
def _on_signal(first: Callable[[], object], again: Callable[[], object]) -> Iterator[None]:
    """Call `first` in the loop at the first SIGINT, SIGTERM or SIGHUP, and `again` at later ones.

    Python's own handlers, not the loop's: the loop removes its handlers before the servers have
    stopped, and then a signal would kill the process. After a signal, those that come when all is
    closed change nothing.
    """
    loop = asyncio.get_running_loop()
    calls = iter([first])
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(next(calls, again)))
        for number in heard()
    }
    try:
        yield
    finally:
        was_heard = next(calls, None) is None
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if was_heard else handler or signal.SIG_DFL)
