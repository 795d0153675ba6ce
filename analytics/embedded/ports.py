"""Ports for servers that bind them later, and again after a crash."""

import contextlib
import fcntl
import itertools
import os
import random
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from analytics import private_files
from analytics.errors import CommandError

PORTS = range(20_000, 32_768)
"""Linux gives outgoing connections the ports from 32768 on."""

# a random start: who has just let go of a port rarely finds it taken
_turn = itertools.count(random.randrange(len(PORTS)))  # noqa: S311 - not a secret


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now, and reserved for this process while it lives.

    No outgoing connection gets it, no other process of this user that asks here, and this one only
    once in 12,768 calls. Raises CommandError when none is free.
    """
    reservations = _reservations()
    for turn in itertools.islice(_turn, len(PORTS)):
        port = PORTS[turn % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            fcntl.lockf(reservations, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            probe.bind(("127.0.0.1", port))
            return port
    raise CommandError(f"no port from {PORTS[0]} to {PORTS[-1]} is free")


@cache
def _reservations() -> int:
    """A file of which each process locks the bytes whose positions are its ports."""
    path = Path(tempfile.gettempdir()) / f"analytics-ports-{os.getuid()}"
    with contextlib.suppress(OSError), private_files.append(path) as file:
        return os.dup(file.fileno())
    # it is another user's, who could lock every byte: reserve ports among our own threads only
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class HeldPort:
    """A port of 127.0.0.1 that no other program can bind, not even while its server is down.

    Who listened there would be sent the server's password. Raises OSError when it is taken.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        if sys.platform != "linux":
            return  # the server could not bind it either
        address = ("127.0.0.1", port)
        try:
            with contextlib.suppress(OSError):
                self._socket.bind(address)
                return
            self._share(True)  # connections of a server before may still be ending
            self._socket.bind(address)
            self._share(False)
        except OSError:
            self._socket.close()
            raise

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let a server bind it, and listen, until the context ends."""
        self._share(True)
        try:
            yield
        finally:
            self._share(False)

    def close(self) -> None:
        """Let anybody have it."""
        self._socket.close()

    def _share(self, allowed: bool) -> None:
        # two sockets that are both marked so may have one port; servers mark theirs
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, allowed)
