"""Runs the apps of the chosen roles on one event loop, until a signal or the end of one of them
stops all.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import Any, cast

import uvloop
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from hypercorn.utils import LifespanFailureError
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from analytics.errors import CommandError, ConfigurationError
from analytics.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS = 30
"""From the signal to the end, all told: shutdown_delay, the requests that are open, and the
lifespans' flush.
"""

DRAIN_SECONDS = 25
"""Of those, what open requests get, less shutdown_delay."""

READ_SECONDS = {"collector": 30}
"""How long a client may be silent inside a request. Only the collector reads bodies; elsewhere a
silent client may be one who listens to a long answer.
"""

BACKLOG = 2048
ADVICE = {
    errno.EADDRINUSE: "end what uses it, or set {}",
    errno.EACCES: "ports below 1024 are root's, set {}",
    errno.EADDRNOTAVAIL: "set HOST to an address of this machine",
}
"""What to do when a port cannot be taken."""

SERVICE_RESTART = 1012
GOODBYE_SECONDS = 1
"""How long a WebSocket's app and its reader may take to end."""


def bind(role: str, settings: Settings, port: int) -> socket.socket:
    """Take the port of a role. Raises CommandError that names role, port and variable when it is in
    use or forbidden.
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
        if hasattr(
            socket, "TCP_USER_TIMEOUT"
        ):  # a peer that vanished, or that does not read, is let go even where no read times out
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
    """Run to the end on uvloop: on the stock loop of Python 3.12 and later, an open WebSocket would
    block the shutdown for ever.
    """
    # what is there from the start is no garbage; full collections would look through it all, 40 ms
    # every tenth question
    gc.freeze()
    gc.set_threshold(
        10_000
        # what is in work comes and goes by itself; looking for cycles in it at every 700 objects took a
        # twentieth of a role
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def serve(
    apps: Mapping[str, Starlette],
    listeners: Mapping[str, socket.socket],
    settings: Settings,
    *,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve each role's app on its listener; `ready` is called once all of them take requests.

    The first SIGINT or SIGTERM stops all: not ready, `shutdown_delay`, close what is open, flush. A
    second one cuts the wait short. Raises the error of the first app that fails, and CommandError
    if the end takes longer than STOP_SECONDS.
    """
    roles = [_Role(name, app, listeners[name], settings) for name, app in apps.items()]
    ports = {name: listeners[name].getsockname()[1] for name in apps}
    asked, close = asyncio.Event(), asyncio.Event()
    starting = set(apps)

    async def serving(role: _Role) -> None:
        starting.discard(role.name)
        if not starting and not asked.is_set():
            log.info(
                "serving %s", ", ".join(f"{name} on port {port}" for name, port in ports.items())
            )
            if ready is not None:
                ready()
        await close.wait()

    asyncio.get_running_loop().set_exception_handler(_on_exception)
    tasks = [
        asyncio.create_task(role.serve(partial(serving, role)), name=role.name) for role in roles
    ]
    with _on_signal(asked.set, lambda: [task.cancel() for task in tasks]):
        watch = asyncio.create_task(asked.wait())
        await asyncio.wait((watch, *tasks), return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        log.info("stopping")
        for app in apps.values():
            app.state.ready = False
        if asked.is_set():
            await asyncio.wait(tasks, timeout=settings.shutdown_delay)
        close.set()
        for role in roles:
            await role.close()
        done, late = await asyncio.wait(tasks, timeout=STOP_SECONDS - settings.shutdown_delay)
    for task in tasks:
        if task in done and not task.cancelled() and (error := task.exception()):
            raise error
    if late:
        names = ", ".join(task.get_name() for task in late)
        raise CommandError(
            f"{names} did not end within {STOP_SECONDS} s and was cut off; what was acknowledged is safe in the queue"
        )


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Python 3.11 reports each connection that is cut off at the end as an error."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


class _Role:
    """One app under hypercorn, and the WebSockets that are open in it."""

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
        self.config.bind = [f"fd://{self.listener.detach()}"]
        try:
            await hypercorn_serve(
                cast(Any, self), self.config, shutdown_trigger=trigger, mode="asgi"
            )
        except LifespanFailureError as failure:
            raise (
                failure.__context__ or failure
            ) from None  # the app's own error, which hypercorn met
        except Exception:
            if not self.closing:
                raise
            log.exception("a connection of the %s failed while it was closed", self.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app; its WebSockets would outlast any wait, so they are told to come again (1012) and
        ended.
        """
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
        """End the WebSockets, and hypercorn's pings with them: those sleep on for up to
        `websocket_ping_interval` and hold the connection.
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
    config.errorlog.setLevel(
        logging.WARNING
    )  # its `Running on`, once a role, is said in one line for all
    return config


@contextlib.contextmanager
def _on_signal(first: Callable[[], object], again: Callable[[], object]) -> Iterator[None]:
    """Call `first` in the loop at the first SIGINT, SIGTERM or hang-up, and `again` at each later
    one.

    Python's own handlers rather than the loop's: those would fall back to the default, which kills,
    before the servers are stopped.
    """
    loop = asyncio.get_running_loop()
    calls = iter([first])
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(next(calls, again)))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
