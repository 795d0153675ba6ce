"""Commands of `analytics` in processes that start in a tenth of the time: one that has imported the
whole package forks for each call.

For tests that need a command or a role running. How a process starts from nothing is for
tests/commands/test_run.py and tests/test_cli.py, which start their own.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NoReturn

from tests.servers import shared
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]
NUMBER = struct.Struct("=i")


class Process:
    """`analytics` with these words in a process of its own, used as a subprocess.Popen is."""

    def __init__(
        self,
        words: tuple[str, ...],
        *,
        env: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
        stdin: IO[bytes] | None = None,
    ) -> None:
        self.returncode: int | None = None
        request = json.dumps({"words": words, "env": dict(env), "cwd": str(ROOT)}).encode()
        self._status, write = os.pipe()
        with open(os.devnull, "rb") as nothing:
            fds = [(stdin or nothing).fileno(), stdout.fileno(), stderr.fileno(), write]
            socket.send_fds(_parent(), [request], fds)
        os.close(write)
        self.pid = self._number()

    def _number(self) -> int:
        data = os.read(self._status, NUMBER.size)
        assert data, "the process that forks has ended"
        number: int = NUMBER.unpack(data)[0]
        return number

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises subprocess.TimeoutExpired after so many seconds."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("analytics", timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(self._number())
            os.close(self._status)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    *words: str, env: Mapping[str, str], input: bytes = b"", timeout: float = 120
) -> "subprocess.CompletedProcess[str]":
    """What `analytics` with these words prints on both streams, and its exit status."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(input)
        given.seek(0)
        process = Process(words, env=env, stdin=given, stdout=out, stderr=err)
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, status, out.read().decode(), err.read().decode())


@functools.cache
def _parent() -> socket.socket:
    """The way to the process that forks; it ends with ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait(PATIENCE_SECONDS)

    shared.callback(end)
    return ours


def _import_all() -> None:
    import analytics

    for module in pkgutil.walk_packages(analytics.__path__, "analytics."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _fork_on_request(control: socket.socket) -> tuple[str, ...]:
    """Fork for each request until the tests end; in each fork, return its command's words."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 1000)
            for pid in tuple(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    _tell(running.pop(pid), status, last=True)
        if control.fileno() in ready:
            message, fds, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not message:
                os._exit(0)
            pid = os.fork()
            if pid:
                running[pid] = fds[3]
                _tell(fds[3], pid)
                for fd in fds[:3]:
                    os.close(fd)
                continue
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for target, fd in enumerate(fds[:3]):
                os.dup2(fd, target)
            # the streams that Python made of the parent's descriptors know those alone
            sys.stdout = os.fdopen(1, "w", closefd=False)
            sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
            control.close()
            for fd in (woken, wake, *fds, *running.values()):
                os.close(fd)
            request = json.loads(message)
            os.chdir(request["cwd"])
            os.environ.clear()
            os.environ.update(request["env"])
            return tuple(request["words"])


def _tell(fd: int, number: int, *, last: bool = False) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        os.write(fd, NUMBER.pack(number))
    if last:
        os.close(fd)


def _main() -> NoReturn:
    _import_all()
    gc.collect()
    gc.freeze()
    words = _fork_on_request(socket.socket(fileno=int(sys.argv[1])))
    from analytics.cli import main

    if "COVERAGE_PROCESS_START" in os.environ:
        import coverage

        coverage.process_startup()
    sys.argv = ["analytics", *words]
    main(words)


if __name__ == "__main__":
    _main()
