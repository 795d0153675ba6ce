"""A server as a child process: its port, its records, its failures, and signals held back."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from analytics import embedded
from analytics.embedded.server import first_number, uninterrupted
from analytics.errors import CommandError


def test_a_server_that_cannot_start_says_why_in_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        valkey = embedded.Valkey(folder / "valkey", password="x", port=other.getsockname()[1])
        with pytest.raises(
            CommandError, match=r"valkey did not start: .*; see .*valkey\.log"
        ) as caught:
            valkey.start()
    assert "\n" not in caught.value.message


def test_ctrl_c_is_held_back_while_servers_start_or_stop() -> None:
    finished = False

    def stop() -> None:
        nonlocal finished
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            finished = True

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert finished


def test_no_port_is_given_twice() -> None:
    """Two roles that ask one after the other, and bind only then, would meet."""
    assert len({embedded.free_port() for _ in range(1_000)}) == 1_000


def test_a_record_that_goes_while_it_is_read_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PostgreSQL that starts takes the record of one that crashed away, at any moment."""
    record = tmp_path / "postmaster.pid"
    record.write_text("42\n")
    assert first_number(record) == 42
    record.unlink()
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert first_number(record) is None
