"""Which `analytics run` of this user runs, and where: for a second start and the other commands.

It leaves a record in its data folder. A record alone is not believed: the process that it names
must still run, and each server must be the one that listens at its port.
"""

import contextlib
import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from analytics import file_lock, private_files
from analytics.embedded.processes import Process
from analytics.errors import CommandError

RECORD = "running.json"


class Running(msgspec.Struct, frozen=True):
    """An `analytics run` with servers of its own."""

    process: Process
    redis_url: str
    database_url: str
    servers: dict[str, Process]
    """The server's name → its process."""
    roles: dict[str, str] = {}
    """The role → `host:port`, where this machine reaches it."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def write(self, folder: Path) -> None:
        private_files.replace(folder / RECORD, msgspec.json.encode(self))

    def check_servers(self) -> None:
        """Raises CommandError unless both URLs lead to its own servers, which are sent a password.

        A server that has ended leaves its port to whoever takes it.
        """
        for name, url in (("valkey", self.redis_url), ("postgres", self.database_url)):
            server = self.servers.get(name)
            if server is None or not server.listens("127.0.0.1", urlsplit(url).port or 0):
                raise CommandError(
                    f"the embedded {name} of process {self.pid} does not run now; "
                    "it is started again within seconds, or `analytics run` ends and says why"
                )

    def serves(self, url: str) -> bool:
        """Whether it is this process that answers at the address of a URL."""
        try:
            place = urlsplit(url)
            return self.process.listens(place.hostname or "", place.port or 0)
        except ValueError:
            return False


def running(folder: Path) -> Running | None:
    """The `analytics run` of this user that has its data in `folder`; None when none runs."""
    folder = Path(os.path.realpath(folder))
    with contextlib.suppress(OSError, msgspec.DecodeError):
        private_files.check(folder)
        found = msgspec.json.decode(private_files.read(folder / RECORD), type=Running)
        if file_lock.is_held(folder / "lock") and found.process.runs():
            return found
    return None


def refuse_second(folder: Path) -> None:
    """Raises CommandError when an `analytics run` has its data in `folder` now.

    Check it before taking ports: the first run holds them too, and that error would say less.
    """
    if running(folder):
        raise already_runs(folder)


def already_runs(folder: Path) -> CommandError:
    other = running(folder)
    process = f" (process {other.pid})" if other else ""
    return CommandError(
        f"analytics already runs here{process}, with its data in {folder}; "
        "stop it first, or set another DATA_DIR"
    )
