"""Ports for servers that bind them later."""

import contextlib
import fcntl
import itertools
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

from analytics.errors import CommandError

PORTS = range(20_000, 32_768)
"""Linux gives outgoing connections the ports from 32768 on."""

# a random start: who has just let go of a port rarely finds it taken
_turn = itertools.count(random.randrange(len(PORTS)))  # noqa: S311 - not a secret


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now, and reserved for this process while it lives.

    No outgoing connection gets it, no other process of this user that asks here, and this one only
    once in 12,768 calls. Raises CommandError when none is free, and OSError when the reservations
    cannot be written.
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
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
