"""A port is given once: to one process, and to that only once."""

import itertools
import socket
import subprocess
import sys
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
