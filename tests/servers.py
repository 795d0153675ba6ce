"""Real servers for the tests: started once a session, a database or a keyspace for each test.

With POSTGRES_BIN=/usr/lib/postgresql/15/bin the tests run on that PostgreSQL instead of the
embedded one.
"""

import atexit
import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from analytics.embedded import Postgres, Valkey

PASSWORD = "test-password"

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
MEMORY_BYTES = 4 << 30
"""Free memory from which on servers keep their files there. Each new database is 400 files, and a
disk takes five times as long for them.
"""

shared = contextlib.ExitStack()
"""Closes what all tests of this process share, after the last of them."""

atexit.register(shared.close)


class Installed(Postgres):
    """A PostgreSQL installed on this machine, perhaps older than the embedded one."""

    initdb_options = ()

    def __init__(self, programs: Path, folder: Path, **options: str) -> None:
        super().__init__(folder, password=PASSWORD, port=None, **options)
        self.programs = programs

    def program(self, name: str) -> str:
        return str(self.programs / name)


@contextlib.contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """A folder that the servers' account can enter (pytest's own are closed to others)."""
    with tempfile.TemporaryDirectory(prefix=f"analytics-{name}-", dir=_memory()) as path:
        folder = Path(path)
        folder.chmod(0o711)
        yield folder


def _memory() -> Path | None:
    """Where files are kept in memory, if there is room; None: the usual place."""
    if not os.access(MEMORY, os.W_OK):
        return None
    free = [shutil.disk_usage(MEMORY).free]
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # there is no limit, or it says `max`
        free.append(int(CGROUP_LIMIT.read_text()))
    return MEMORY if min(free) > MEMORY_BYTES else None


@contextlib.contextmanager
def postgres(
    folder: Path, programs: str | None = os.environ.get("POSTGRES_BIN"), **options: str
) -> Iterator[Postgres]:
    """A PostgreSQL until the block ends.

    It is stopped then: one that is killed, and never started again in its folder, leaves a segment
    of shared memory for ever, and a machine has a few thousand.
    """
    options = {"fsync": "off", "max_connections": "200", **options}
    server = (
        Installed(Path(programs), folder, **options)
        if programs
        else Postgres(folder, password=PASSWORD, port=None, **options)
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def valkey(folder: Path, **options: str) -> Iterator[Valkey]:
    server = Valkey(folder, password=PASSWORD, port=None, **options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def database(server: Postgres, template: str | None = None) -> Iterator[str]:
    """The URL of a new database, empty or a copy of `template`; dropped when the next is made."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    # PostgreSQL's default, wal_log, takes five times as long: it reads and logs every page
    create = f'create database "{name}" template "{template or "template1"}" strategy file_copy'
    left = _left.setdefault(server.url(), [])
    drops = [f'drop database "{left.pop()}" with (force)' for _ in range(len(left))]
    psql(server.program("psql"), server.url(), *drops, create)
    try:
        yield server.url(name)
    finally:
        left.append(name)


_left: dict[str, list[str]] = {}
"""By server, databases that no test needs any more: one psql drops them and makes the next."""


def psql(program: str, url: str, *statements: str) -> str:
    """Run statements, each in a transaction of its own, and return what psql prints, unaligned."""
    commands = [word for statement in statements for word in ("-c", statement)]
    done = subprocess.run(
        [program, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, *commands],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
