"""A server as a child process: start it, wait for it, stop it; end one that a crash left behind."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from analytics.embedded.ports import free_port
from analytics.errors import CommandError

START_SECONDS = 60
STOP_SECONDS = 20


class Account(msgspec.Struct, frozen=True):
    """The user of the operating system that runs the servers: PostgreSQL refuses root."""

    name: str
    uid: int
    gid: int


def account() -> Account | None:
    """The account to run the servers as; None for our own, when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise CommandError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' "
        "to run it as; make one, or start as an ordinary user"
    )


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
        number: signal.signal(number, lambda number, _: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The server's process id; raises CommandError when it does not run."""
        if self._process is None:
            raise CommandError(f"the embedded {self.name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises CommandError with the last line of its log when it does not start.
        """
        self._own_folder()
        self._end_orphans()
        self._prepare()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(os.open(self.log, flags, 0o600), "ab") as log, uninterrupted():
            self._process = self._popen(self._command(), stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                reason = last_line(self.log.read_text(errors="replace"))
                raise CommandError(
                    f"the embedded {self.name} did not start: {reason}; see {self.log}"
                )
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it cleanly; kill it if it does not end in time."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

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
        """Make the folder, for the servers' account alone; raises CommandError if out of reach."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.account:
            for parent in self.folder.parents:
                if not parent.stat().st_mode & stat.S_IXOTH:
                    raise CommandError(
                        f"the user {self.account.name}, whom the embedded {self.name} runs as, "
                        f"cannot enter {parent}; set DATA_DIR to a folder outside it"
                    )
            os.chown(self.folder, self.account.uid, self.account.gid)
        self.folder.chmod(0o700)

    def _write_secret(self, path: Path, text: str) -> None:
        """Write a file that only the servers' account and root can read, from its first byte."""
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            file.write(text)
            if self.account:
                os.fchown(file.fileno(), self.account.uid, self.account.gid)

    def _wheel(self, package: str) -> Path:
        """The folder of an installed package.

        The package is not imported: that would cost time and memory, and print its warnings.
        """
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise CommandError(
                f"the package {package} is not installed; `make run` installs it (it is in "
                "requirements/main.txt), or set REDIS_URL and DATABASE_URL"
            )
        return Path(spec.submodule_search_locations[0])

    def _reachable(self, path: Path) -> Path:
        """`path`, or a copy of it beside the data when the servers' account cannot get there.

        The copy is made once; the account cannot change it.
        """
        if self.account is None or all(
            parent.stat().st_mode & stat.S_IXOTH for parent in path.parents
        ):
            return path
        folder = self.folder.parent / "programs" / self.name
        copy = folder / path.name
        if not copy.exists() or copy.stat().st_mtime != path.stat().st_mtime:
            fresh = folder.with_suffix(".new")
            for old in (folder, fresh):
                shutil.rmtree(old, ignore_errors=True)
            fresh.mkdir(parents=True)
            for part in (path, *path.parent.glob(f"{path.name}.libs")):
                (shutil.copytree if part.is_dir() else shutil.copy2)(part, fresh / part.name)
            fresh.rename(folder)
        return copy

    def _end_orphans(self) -> None:
        """End processes that a killed parent left behind: they still hold the folder.

        The server gets its stop signal, and SIGKILL when it does not end in time. Backends without
        a server get SIGKILL at once.
        """
        server = self._recorded_pid()
        if server is not None and _runs_in(server, self.folder):
            os.kill(server, self.stop_signal)
        end = time.monotonic() + STOP_SECONDS
        while orphans := self._orphans(server):
            if server not in orphans or time.monotonic() > end:
                for pid in orphans:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _orphans(self, server: int | None) -> list[int]:
        """Processes of this program that work in the folder; without /proc, at most `server`."""
        names = {int(comm.parent.name): text_of(comm) for comm in Path("/proc").glob("[0-9]*/comm")}
        if not names:
            return [server] if server is not None and _runs_in(server, self.folder) else []
        pids = [pid for pid, name in names.items() if name.startswith(self.name)]
        return [pid for pid in pids if _runs_in(pid, self.folder)]

    def _prepare(self) -> None:
        """Put into the folder what the server needs to start."""

    def _command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def _answers(self) -> bool:
        """Whether the server takes requests."""
        raise NotImplementedError

    def _recorded_pid(self) -> int | None:
        """The process id that a server wrote into the folder, of this run or of an earlier one."""
        raise NotImplementedError


def last_line(text: str) -> str:
    """The last line that is not blank, as the reason of a failure."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def first_number(record: Path) -> int | None:
    """The number that a file of a process id begins with; None when it is missing or empty."""
    words = text_of(record).split()
    return int(words[0]) if words else None


def text_of(path: Path) -> str:
    """The text of a file; empty when the file is gone."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def _runs_in(pid: int, folder: Path) -> bool:
    """Whether process `pid` runs in `folder` or below; without /proc, whether it runs at all."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        if not state.exists():
            return not Path("/proc/self").exists()
        zombie = state.read_text().rpartition(")")[2].split()[0] == "Z"
        return not zombie and Path(f"/proc/{pid}/cwd").resolve().is_relative_to(folder.resolve())
    except (ProcessLookupError, FileNotFoundError, PermissionError):
        return False
