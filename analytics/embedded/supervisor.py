"""Starts a server again that has ended, or gives up after some tries."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

from analytics.embedded.server import Server
from analytics.errors import CommandError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""How long each try waits. Nothing is lost meanwhile: what the roles cannot do, they refuse."""
CALM_SECONDS = 60.0
"""A server that has run for so long has all its tries again."""


class _Ending(Exception):
    """The supervisor ends in the middle of a try."""


class Supervisor:
    """Watches one server in a thread of its own, between `start` and `stop`."""

    def __init__(
        self, server: Server, restarted: Callable[[], object], failure: "Future[None]"
    ) -> None:
        """`restarted` is called after each new start; `failure` gets a CommandError at the end."""
        self._server = server
        self._restarted = restarted
        self._failure = failure
        self._tries, self._since = 0, time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name=f"supervisor of {server.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the watch, also in the middle of a try; the server stays as it is."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            if self._server.runs:
                if time.monotonic() - self._since > CALM_SECONDS:
                    self._tries = 0
            elif self._tries < len(PAUSES_SECONDS):
                self._try(PAUSES_SECONDS[self._tries])
                self._tries += 1
            else:
                self._give_up()
                return

    def _try(self, pause_s: float) -> None:
        log.warning("%s; starting it again", self._server.end())
        with contextlib.suppress(CommandError, OSError, _Ending):
            self._pause(pause_s)
            self._server.start(self._pause)
            self._restarted()
        self._since = time.monotonic()

    def _give_up(self) -> None:
        with contextlib.suppress(InvalidStateError):  # another server was given up before
            self._failure.set_exception(
                CommandError(f"{self._server.end()}; {len(PAUSES_SECONDS)} new starts did not help")
            )

    def _pause(self, seconds: float) -> None:
        if self._ending.wait(seconds):
            raise _Ending
