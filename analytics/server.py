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
from typing import Any

import uvloop
from starlette.applications import Starlette

from analytics import served_app
from analytics.errors import CommandError, ConfigurationError
from analytics.served_app import ServedApp, cut_connections
from analytics.settings import Settings
from analytics.tasks import heard

log = logging.getLogger(__name__)

ADVICE = {
    errno.EADDRINUSE: "end what uses it, or set {}",
    errno.EACCES: "ports below 1024 are root's, set {}",
    errno.EADDRNOTAVAIL: "set HOST to an address of this machine",
}
"""Error → what to do when a port cannot be bound; {} is the setting of the port."""


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
            patience_ms = served_app.STOP_SECONDS * 1000
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
        listener.bind(address)
        listener.listen(served_app.BACKLOG)
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
    signalled: Callable[[], None] = lambda: None,
) -> None:
    """Serve each role's app on its listener; call `ready` once all of them take requests.

    The first SIGINT, SIGTERM or SIGHUP stops all: not ready, `shutdown_delay`, close connections,
    flush. A second one ends every wait, but cuts no flush. Signals go to whoever had them before
    when all has ended; `signalled` is called at the first one, so that they know. `failure` ends
    all too, and its error is raised. Raises the error of the first app that fails, and CommandError
    if the end takes longer than STOP_SECONDS.
    """
    served = [ServedApp(name, app, listeners[name], settings) for name, app in apps.items()]
    ports = {name: listeners[name].getsockname()[1] for name in apps}
    stopping, close = asyncio.Event(), asyncio.Event()
    starting = set(apps)

    def stop() -> None:
        signalled()
        loop.call_soon_threadsafe(stopping.set)

    def hurry() -> None:
        close.set()
        cut_connections()
        for app, task in zip(served, tasks, strict=True):
            app.hurry()
            if app.name in starting:
                task.cancel()

    async def until_closed(app: ServedApp) -> None:
        starting.discard(app.name)
        if not starting and not stopping.is_set():
            places = ", ".join(f"{name} on port {port}" for name, port in ports.items())
            log.info("serving %s", places)
            if ready is not None:
                ready()
        await close.wait()

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_on_exception)
    tasks = [
        asyncio.create_task(app.serve(partial(until_closed, app)), name=app.name) for app in served
    ]
    with _on_signal(stop, lambda: loop.call_soon_threadsafe(hurry)):
        watch, closing = map(asyncio.create_task, (stopping.wait(), close.wait()))
        fatal = asyncio.wrap_future(failure or Future())
        ends: tuple[asyncio.Future[Any], ...] = (watch, fatal, *tasks)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        log.info("stopping")
        for app in apps.values():
            app.state.ready = False
        if stopping.is_set():
            await asyncio.wait(
                (closing, *tasks),
                timeout=settings.shutdown_delay,
                return_when=asyncio.FIRST_COMPLETED,
            )
        close.set()
        for each in served:
            await each.close()
        seconds = served_app.STOP_SECONDS - settings.shutdown_delay
        done, late = await asyncio.wait(tasks, timeout=seconds)
    if fatal.done():
        fatal.result()
    for task in tasks:
        if task in done and not task.cancelled() and (error := task.exception()):
            raise error
    if late:
        names = ", ".join(task.get_name() for task in late)
        raise CommandError(
            f"{names} did not end within {served_app.STOP_SECONDS} s and was cut off; "
            "what was acknowledged is safe in the queue"
        )


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Python 3.11 reports each connection that we cut off at the end as an error; hide those."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


@contextlib.contextmanager
def _on_signal(first: Callable[[], object], again: Callable[[], object]) -> Iterator[None]:
    """Call `first` at the first SIGINT, SIGTERM or SIGHUP, `again` at the second, nothing later.

    Python's own handlers, not the loop's: the loop removes its handlers before the servers have
    stopped, and then a signal would kill the process. Afterwards signals go where they went before.
    """
    calls = iter([first, again])
    before = {
        number: signal.signal(number, lambda *_: next(calls, lambda: None)()) for number in heard()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
