"""A server as a child process: start it, wait for it, stop it; end one that a crash left behind."""

import contextlib
import os
import signal
import stat
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from analytics import private_files
from analytics.embedded import processes, programs
from analytics.embedded.account import account
from analytics.embedded.ports import HeldPort, free_port
from analytics.embedded.processes import Process
from analytics.errors import CommandError
from analytics.tasks import heard

START_SECONDS = 60
STOP_SECONDS = 20


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C, SIGTERM and SIGHUP until the context ends.

    Between starting a server and remembering it, or while one stops, an interrupt would leave it
    behind. Outside the main thread, nothing is held back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: held.append(number)) for number in heard()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if held:
            signal.raise_signal(held[0])


class Server:
    """A server with a folder, a port and a password of its own. Subclasses say how it starts."""

    name = ""
    stop_signal = signal.SIGTERM

    def __init__(
        self, folder: Path, *, password: str, port: int | None = None, **options: str
    ) -> None:
        self.folder = folder
        self.password = password
        self.port = port or free_port()
        self.options = options
        self.account = account()
        self._process: subprocess.Popen[bytes] | None = None
        self._held: HeldPort | None = None
        self._answered = False

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The server's process id; raises CommandError when it does not run."""
        if self._process is None:
            raise CommandError(f"the embedded {self.name} does not run")
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether it runs and, since it was started, has answered."""
        return self._answered and self.runs

    def start(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Start it and wait until it answers; `pause` waits for so many seconds.

        Raises CommandError with the last line of its log when it does not start.
        """
        self._answered = False
        self._own_folder()
        self._end_orphans(pause)
        self._prepare()
        end = time.monotonic() + START_SECONDS
        with self._hold_port().lent():
            with self._opened_log() as log, uninterrupted():
                self._process = self._popen(self._command(), stdout=log, stderr=subprocess.STDOUT)
            process = Process.of(self._process.pid)
            self._wait(lambda: process.listens("127.0.0.1", self.port), end, pause)
        self._wait(self._answers, end, pause)
        self._answered = True

    def _wait(
        self, condition: Callable[[], bool], end: float, pause: Callable[[float], object]
    ) -> None:
        while not condition():
            if not self.runs or time.monotonic() > end:
                self._end(signal.SIGKILL)
                raise CommandError(
                    f"the embedded {self.name} did not start: {self._last_words()}; see {self.log}"
                )
            pause(0.01)

    def end(self) -> str:
        """How it ended, in a sentence; for a server that was started and does not run."""
        status = self._process.returncode if self._process else None
        if status is not None and status < 0:
            return f"the embedded {self.name} was ended by {signal.Signals(-status).name}"
        return f"the embedded {self.name} ended: {self._last_words()}; see {self.log}"

    def _last_words(self) -> str:
        return last_line(self._text_of(self.log))

    def stop(self) -> None:
        """Stop it cleanly; kill it if it does not end in time."""
        self._end(self.stop_signal)
        self._release_port()

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)
        self._release_port()

    def _end(self, sig: signal.Signals) -> None:
        with uninterrupted():
            process, self._process = self._process, None
            if process is None:
                return
            process.send_signal(sig)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _hold_port(self) -> HeldPort:
        """The port, which stays held until the server is stopped: also while it is restarted."""
        if self._held is None:
            try:
                self._held = HeldPort(self.port)
            except OSError as error:
                raise CommandError(
                    f"the embedded {self.name} did not start: "
                    f"port {self.port} of 127.0.0.1: {error.strerror}"
                ) from error
            weakref.finalize(self, self._held.close)
        return self._held

    def _release_port(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _popen(
        self,
        command: list[str],
        variables: Mapping[str, str] = MappingProxyType({}),
        **streams: object,
    ) -> subprocess.Popen[bytes]:
        """Start a program as the servers' account, where Ctrl-C in our terminal does not reach."""
        options: dict[str, Any] = {"start_new_session": True, **streams}
        if self.account:
            options |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC", **variables}
        return subprocess.Popen(command, cwd=self.folder, env=environment, **options)

    def _own_folder(self) -> None:
        """Make the folder, for the servers' account alone.

        Raises CommandError when it is out of the account's reach, a link, or another's.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(private_files.FOLDER_MODE)
        if self.account:
            for parent in self.folder.parents:
                if not parent.stat().st_mode & stat.S_IXOTH:
                    raise CommandError(
                        f"the user {self.account.name}, whom the embedded {self.name} runs as, "
                        f"cannot enter {parent}; set DATA_DIR to a folder outside it"
                    )
        try:
            private_files.give(self.folder, *self._owner)
        except OSError as error:
            raise CommandError(
                f"the embedded {self.name} cannot use {self.folder}: {error.strerror}; "
                "set DATA_DIR to another folder"
            ) from error

    def _write_secret(self, path: Path, text: str) -> None:
        """Write a file that only the servers' account and root can read, from its first byte."""
        private_files.replace(path, text.encode(), self._owner)

    def _opened_log(self) -> BinaryIO:
        try:
            return private_files.append(self.log, self._owner[0])
        except OSError as error:
            raise CommandError(
                f"the embedded {self.name} cannot write {self.log}: {error.strerror}"
            ) from error

    def _end_orphans(self, pause: Callable[[float], object] = time.sleep) -> None:
        """End processes that a killed parent left behind: they still hold the folder.

        The server gets its stop signal, and SIGKILL when it does not end in time. Backends without
        a server get SIGKILL at once.
        """
        server = self._recorded_pid()
        if server is not None and processes.works_in(server, self.folder):
            os.kill(server, self.stop_signal)
        end = time.monotonic() + STOP_SECONDS
        while orphans := self._orphans(server):
            if server not in orphans or time.monotonic() > end:
                for pid in orphans:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            pause(0.05)

    def _orphans(self, server: int | None) -> list[int]:
        """Processes of this program that work in the folder; without /proc, at most `server`."""
        pids = processes.named(self.name)
        if pids is None:
            pids = [] if server is None else [server]
        return [pid for pid in pids if processes.works_in(pid, self.folder)]

    def _program(self, path: Path) -> Path:
        """`path`, or a copy of it beside the data when the servers' account cannot get there.

        The account cannot change the copy.
        """
        if self.account is None or programs.can_be_reached(path):
            return path
        return programs.copied(path, self.folder.parent / "programs" / self.name)

    @property
    def _owner(self) -> tuple[int, int]:
        """The user and group that the server runs as."""
        if self.account:
            return self.account.uid, self.account.gid
        return os.geteuid(), os.getegid()

    def _text_of(self, path: Path) -> str:
        """The text of a file in the folder; empty when it is gone, a link, or another's."""
        with contextlib.suppress(OSError):
            return private_files.read(path, self._owner[0]).decode(errors="replace")
        return ""

    def _first_number(self, record: Path) -> int | None:
        """The number that a file of a process id begins with; None when it begins with none."""
        words = self._text_of(record).split()
        return int(words[0]) if words and words[0].isdecimal() else None

    def _prepare(self) -> None:
        """Put into the folder what the server needs to start."""

    def _command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def _answers(self) -> bool:
        """Whether the server, which listens at its port, takes requests."""
        raise NotImplementedError

    def _recorded_pid(self) -> int | None:
        """The process id that a server wrote into the folder, of this run or of an earlier one."""
        raise NotImplementedError


def last_line(text: str) -> str:
    """The last line that is not blank, as the reason of a failure."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
