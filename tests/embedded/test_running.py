"""Only a platform that runs is found, and only its own servers are told a password."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from analytics import embedded, file_lock, private_files
from analytics.embedded.processes import Process
from analytics.errors import CommandError
from tests import forking
from tests.commands.shell import command, complaint
from tests.embedded.test_platform import hold
from tests.waiting import wait_for


class Stranger:
    """Somebody who listens where a server was, and keeps what it is told."""

    def __init__(self, port: int) -> None:
        # the children of a server that was killed hold its port for a moment
        self._listener = wait_for(lambda: self._listening(port), "the port")
        self._listener.setblocking(False)

    @staticmethod
    def _listening(port: int) -> socket.socket | None:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            return None

    def heard(self) -> bytes:
        """All that has been said to it so far; it answers nothing."""
        said = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = self._listener.accept()
                with client:
                    client.settimeout(1)
                    with contextlib.suppress(TimeoutError):
                        said += client.recv(4096) + b"\n"
        return said

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def crashed(folder: Path) -> embedded.Running:
    """What is recorded of a platform whose processes, servers included, have been killed."""
    process, running = hold(folder)
    process.kill()
    process.communicate()
    for server in running.servers.values():
        os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: not any(server.runs() for server in running.servers.values()), "their end")
    assert (folder / "running.json").exists()
    return running


@pytest.mark.parametrize("words", [("doctor",), ("keys", "list"), ("query", "trends")])
def test_after_a_crash_nobody_who_holds_lock_and_port_is_told_anything(
    crashed: embedded.Running, folder: Path, words: tuple[str, ...]
) -> None:
    """Even if it could open the lock: it runs as ourselves here."""
    ports = [urlsplit(url).port or 0 for url in (crashed.redis_url, crashed.database_url)]
    strangers = [Stranger(port) for port in ports]
    with file_lock.acquire(folder / "lock") or pytest.fail("it was taken"):
        assert embedded.running(folder) is None
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ
        }
        (folder / "key").write_text("ak_r_kept")
        done = forking.run(*words, env={**kept, "DATA_DIR": str(folder)})
    assert "ak_r_kept" not in done.stdout
    assert [stranger.heard() for stranger in strangers] == [b"", b""]
    for stranger in strangers:
        stranger.close()


def test_another_user_cannot_open_the_lock_whatever_the_umask_or_an_older_release(
    folder: Path,
) -> None:
    folder.mkdir()
    (folder / "lock").touch(mode=0o644)
    before = os.umask(0)
    try:
        with file_lock.acquire(folder / "lock") or pytest.fail("it was taken"):
            pass
        with file_lock.acquire(folder / "new") or pytest.fail("it was taken"):
            pass
    finally:
        os.umask(before)
    for name in ("lock", "new"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


@contextlib.contextmanager
def recorded(folder: Path, process: Process, content: bytes | None = None) -> Iterator[None]:
    """A folder with a lock that is held and a record of a process."""
    running = embedded.Running(process, "redis://:x@127.0.0.1:1/0", "postgresql://", {})
    private_files.claim(folder)
    private_files.replace(folder / "running.json", content or msgspec.json.encode(running))
    with file_lock.acquire(folder / "lock") or pytest.fail("it was taken"):
        yield


def test_a_record_counts_while_its_very_process_runs_and_holds_the_lock(folder: Path) -> None:
    me = Process.of(os.getpid())
    with recorded(folder, me):
        found = embedded.running(folder)
        assert found
        assert found.pid == os.getpid()
        (folder.parent / "link").symlink_to(folder)
        assert embedded.running(folder.parent / "link") == found
    assert embedded.running(folder) is None
    with recorded(folder, Process(me.pid, "1")):
        assert embedded.running(folder) is None


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"process":{"pid":"one"}}'])
def test_a_record_that_cannot_be_read_is_none(folder: Path, content: bytes) -> None:
    with recorded(folder, Process.of(os.getpid()), content):
        assert embedded.running(folder) is None


def test_a_record_behind_a_link_or_in_a_folder_for_all_is_none(folder: Path) -> None:
    with recorded(folder, Process.of(os.getpid())):
        folder.chmod(0o777)
        assert embedded.running(folder) is None
        folder.chmod(0o700)
        assert embedded.running(folder)
        (folder / "running.json").rename(folder / "elsewhere")
        (folder / "running.json").symlink_to(folder / "elsewhere")
        assert embedded.running(folder) is None


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999", "http://a:b", "", "/"])
def test_nobody_answers_at_what_is_no_address(url: str) -> None:
    assert not embedded.Running(Process.of(os.getpid()), "", "", {}).serves(url)


def test_a_server_that_does_not_listen_at_its_port_is_named_and_told_nothing(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as server:
        stranger = Stranger(0)
        port = stranger._listener.getsockname()[1]
        me, other = Process.of(os.getpid()), Process.of(server.pid)
        url = f"redis://:hunter2@127.0.0.1:{port}/0"
        for servers in ({"valkey": other}, {}):
            running = embedded.Running(me, url, "postgresql://x", servers)
            with pytest.raises(CommandError, match=r"embedded valkey of process .* does not run"):
                running.check_servers()
        with recorded(folder, me, msgspec.json.encode(running)):
            run = command({"DATA_DIR": str(folder)})
            assert "started again" in complaint(run("keys", "list", status=1))
        assert stranger.heard() == b""
        stranger.close()
        assert server.stdin
        server.stdin.close()
