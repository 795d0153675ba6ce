"""A server that ends is started again, in the same place; or the end is told once."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from analytics import embedded
from analytics.embedded import supervisor
from analytics.embedded.supervisor import Supervisor
from analytics.errors import CommandError
from tests.waiting import PATIENCE_SECONDS, wait_for

NEVER_SECONDS = 3600.0


@pytest.fixture
def valkey(folder: Path) -> Iterator[embedded.Valkey]:
    server = embedded.Valkey(folder, password="x")
    server.start()
    yield server
    server.stop()


@contextlib.contextmanager
def watched(server: embedded.Valkey) -> Iterator[tuple[Supervisor, "Future[None]", list[int]]]:
    """A supervisor at work, its failure, and the process ids of the new starts."""
    failure: Future[None] = Future()
    pids: list[int] = []
    watch = Supervisor(server, lambda: pids.append(server.pid), failure)
    watch.start()
    try:
        yield watch, failure, pids
    finally:
        watch.stop()


def kill(pid: int) -> None:
    """What the system's killer does, or an operator; `server.kill` would be our own doing."""
    os.kill(pid, signal.SIGKILL)


def test_a_server_that_was_killed_is_started_again_with_port_password_and_data(
    valkey: embedded.Valkey,
) -> None:
    from redis import Redis

    url = valkey.url
    with watched(valkey) as (_, failure, pids):
        with Redis.from_url(url) as client:
            client.set("kept", "42")
        for turn in range(2):
            kill(valkey.pid)
            wait_for(lambda turn=turn: len(pids) > turn, "a new start")  # type: ignore[misc]
            with Redis.from_url(url) as client:
                assert client.get("kept") == b"42"
    assert not failure.done()


def test_a_server_that_cannot_be_started_again_is_given_up_after_some_tries(
    valkey: embedded.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PAUSES_SECONDS", (0.0, 0.0, 0.0))
    with watched(valkey) as (_, failure, pids):
        (valkey.folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
        kill(valkey.pid)
        with pytest.raises(CommandError, match=r"embedded valkey ended: .*3 new starts did not"):
            failure.result(PATIENCE_SECONDS)
    assert pids == []


def test_a_server_that_ends_soon_after_each_start_is_given_up_too(
    valkey: embedded.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PAUSES_SECONDS", (0.0, 0.0))
    with watched(valkey) as (_, failure, pids):
        for turn in range(3):
            kill(valkey.pid)
            wait_for(lambda turn=turn: failure.done() or len(pids) > turn, "its start")  # type: ignore[misc]
        with pytest.raises(CommandError, match="was ended by SIGKILL; 2 new starts did not help"):
            failure.result(0)
    assert len(pids) == 2


def test_a_server_that_ran_for_long_has_all_its_tries_again(
    valkey: embedded.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(supervisor, "CALM_SECONDS", 0.0)
    with watched(valkey) as (watch, failure, pids):
        for turn in range(3):
            kill(valkey.pid)
            wait_for(lambda turn=turn: len(pids) > turn, "a new start")  # type: ignore[misc]
            wait_for(lambda: watch._tries == 0, "a look at it")
    assert not failure.done()


def test_nobody_else_can_have_the_port_while_the_server_is_down(
    valkey: embedded.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He would be told the password by whoever connects again."""
    monkeypatch.setattr(supervisor, "PAUSES_SECONDS", (NEVER_SECONDS,))
    with watched(valkey):
        kill(valkey.pid)
        wait_for(lambda: not valkey.runs, "its end")
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", valkey.port))
    valkey.stop()
    socket.create_server(("127.0.0.1", valkey.port)).close()


def test_the_end_does_not_wait_for_the_next_try(
    valkey: embedded.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PAUSES_SECONDS", (NEVER_SECONDS,))
    with watched(valkey) as (_, failure, _):
        kill(valkey.pid)
        wait_for(lambda: not valkey.runs, "its end")
    assert not failure.done()


def test_a_supervisor_that_was_never_started_can_be_stopped(folder: Path) -> None:
    Supervisor(embedded.Valkey(folder, password="x"), lambda: None, Future()).stop()
