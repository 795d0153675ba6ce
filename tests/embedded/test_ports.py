"""A port is given once: to one process, and to that only once."""

import itertools
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE

import pytest

from analytics.embedded import ports
from analytics.errors import CommandError


def test_no_port_is_given_twice() -> None:
    """Two roles that ask one after the other, and bind only then, would meet."""
    assert len({ports.free_port() for _ in range(1_000)}) == 1_000


TAKES_A_PORT = """
import itertools, sys
from analytics.embedded import ports
ports._turn = itertools.count(int(sys.argv[1]))
print(ports.free_port(), flush=True)
sys.stdin.read()
"""


def test_no_port_is_given_to_two_processes_that_bind_later(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = ports.free_port() - ports.PORTS[0] + 1
    command = [sys.executable, "-c", TAKES_A_PORT, str(turn)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE) as other:
        assert other.stdin
        assert other.stdout
        port = int(other.stdout.readline())
        monkeypatch.setattr(ports, "_turn", itertools.count(port - ports.PORTS[0]))
        assert ports.free_port() > port
        other.stdin.close()


def test_that_no_port_is_free_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "PORTS", range(taken, taken + 1))
        with pytest.raises(CommandError, match=f"no port from {taken} to {taken} is free"):
            ports.free_port()


def test_reservations_that_another_has_put_there_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He could lock each of them, or lead us to a file of ours."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"analytics-ports-{os.getuid()}").symlink_to(tmp_path / "other")
    handle = ports._reservations.__wrapped__()
    assert os.fstat(handle).st_nlink == 0
    assert not (tmp_path / "other").exists()
    os.close(handle)


def _takes(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_held_port_is_for_those_alone_whom_it_is_lent_to() -> None:
    held = ports.HeldPort(port := ports.free_port())
    for _ in range(2):
        assert not _takes(port)
        with (
            held.lent(),
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", port)),
            server.accept()[0],
        ):
            pass  # it ends first, and its side of the connection waits for a while
    assert not _takes(port)
    with pytest.raises(OSError, match="in use"):
        ports.HeldPort(port)
    held.close()
    again = ports.HeldPort(port)
    assert not _takes(port)
    again.close()
    assert _takes(port)
