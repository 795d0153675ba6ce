"""A server as a child process: its port, its records, its failures, and signals held back."""

import os
import signal
import socket
import stat
import threading
from pathlib import Path

import pytest

from analytics import embedded
from analytics.embedded.server import last_line, uninterrupted
from analytics.errors import CommandError


def test_a_server_that_cannot_start_says_why_in_one_line(folder: Path) -> None:
    valkey = embedded.Valkey(folder / "valkey", password="x", maxmemory="much")
    with pytest.raises(
        CommandError, match=r"valkey did not start: .*; see .*valkey\.log"
    ) as caught:
        valkey.start()
    assert "\n" not in caught.value.message


def test_a_port_that_another_has_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        valkey = embedded.Valkey(folder / "valkey", password="x", port=port)
        with pytest.raises(CommandError, match=f"valkey did not start: port {port} .*in use"):
            valkey.start()


def test_ctrl_c_is_held_back_while_servers_start_or_stop() -> None:
    finished = False

    def stop() -> None:
        nonlocal finished
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            finished = True

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert finished


def test_outside_the_main_thread_no_signal_is_held_back() -> None:
    handlers: list[object] = []

    def look() -> None:
        with uninterrupted():
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [before]


def test_a_server_that_does_not_run_has_no_process_and_can_be_stopped(folder: Path) -> None:
    server = embedded.Valkey(folder, password="x")
    with pytest.raises(CommandError, match="the embedded valkey does not run"):
        _ = server.pid
    server.stop()
    server.kill()


def test_a_secret_is_written_for_its_reader_alone_and_through_no_link(folder: Path) -> None:
    folder.mkdir()
    other, secret = folder / "other", folder / "secret"
    other.write_text("mine")
    secret.symlink_to(other)
    embedded.Valkey(folder, password="x")._write_secret(secret, "hunter2")
    assert (other.read_text(), secret.read_text()) == ("mine", "hunter2")
    assert stat.S_IMODE(secret.lstat().st_mode) == 0o600
    assert not secret.is_symlink()


def test_a_folder_that_the_servers_account_cannot_enter_is_named(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: the servers run as ourselves")
    folder.mkdir(mode=0o700)
    server = embedded.Valkey(folder / "valkey", password="x")
    with pytest.raises(CommandError, match=rf"cannot enter {folder}; set DATA_DIR"):
        server.start()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("one\ntwo \n\n", "two"), ("", "it said nothing"), (" \n\t\n", "it said nothing")],
)
def test_the_reason_of_a_failure_is_the_last_line_that_says_something(
    text: str, reason: str
) -> None:
    assert last_line(text) == reason


@pytest.mark.parametrize(
    ("text", "number"), [("42\n/data\n", 42), ("", None), (" \n", None), ("x\n", None)]
)
def test_a_record_begins_with_a_number_or_says_nothing(
    tmp_path: Path, text: str, number: int | None
) -> None:
    server = embedded.Valkey(tmp_path, password="x")
    (tmp_path / "record").write_text(text)
    assert server._first_number(tmp_path / "record") == number
    assert server._first_number(tmp_path / "gone") is None
