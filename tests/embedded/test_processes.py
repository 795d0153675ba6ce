"""What is known of a process: that it is the same, and that it listens where we would connect."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.embedded import processes
from analytics.embedded.processes import Process, named, works_in


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=tmp_path) as process:
        yield process
        process.kill()


def test_a_process_is_no_other_with_its_number(other: "subprocess.Popen[bytes]") -> None:
    process = Process.of(other.pid)
    assert process.runs()
    assert not Process(other.pid, "1").runs()
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet collected
    assert not process.runs()
    other.wait()
    assert not process.runs()


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("127.0.0.1", "127.0.0.1"), ("", "127.0.0.1"), ("::1", "::1"), ("::", "::1")],
)
def test_only_the_process_that_listens_at_an_address_is_found_there(
    other: "subprocess.Popen[bytes]", bound: str, asked: str
) -> None:
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.create_server((bound, 0), family=family) as listener:
        port = listener.getsockname()[1]
        assert Process.of(os.getpid()).listens(asked, port)
        assert not Process.of(other.pid).listens(asked, port)
        assert not Process(os.getpid(), "1").listens(asked, port)
    assert not Process.of(os.getpid()).listens(asked, port)


def test_who_is_bound_to_the_very_address_answers_there_and_a_name_is_no_address() -> None:
    me = Process.of(os.getpid())
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert not me.listens("127.0.0.1", port)
        bound.listen()
        assert me.listens("127.0.0.1", port)
        assert not me.listens("127.0.0.2", port)
        assert not me.listens("localhost", port)


def test_where_a_process_works_is_known(other: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    assert works_in(other.pid, tmp_path)
    assert works_in(other.pid, tmp_path.parent)
    assert not works_in(other.pid, tmp_path / "below")
    assert other.pid in (named("python") or [])
    other.kill()
    other.wait()
    assert not works_in(other.pid, tmp_path)


def test_without_proc_it_is_known_whether_a_process_runs(
    other: "subprocess.Popen[bytes]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path / "nothing")
    process = Process.of(other.pid)
    assert process.runs()
    assert process.listens("127.0.0.1", 1)
    assert works_in(other.pid, tmp_path)
    assert named("python") is None
    other.kill()
    other.wait()
    assert not process.runs()
    assert not works_in(other.pid, tmp_path)
