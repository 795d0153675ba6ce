"""Real servers for the tests: started once a session, a database or a keyspace for each test.

With POSTGRES_BIN=/usr/lib/postgresql/15/bin the tests run on that PostgreSQL instead of the
embedded one.
"""

import atexit
import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from analytics.embedded import Postgres, Valkey

PASSWORD = "test-password"

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
def postgres(
    folder: Path, programs: str | None = os.environ.get("POSTGRES_BIN"), **options: str
) -> Iterator[Postgres]:
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
        server.kill()


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
    """The URL of a new database, empty or a copy of `template`, dropped afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    # PostgreSQL's default, wal_log, takes five times as long: it reads and logs every page
    create = f'create database "{name}" template "{template or "template1"}" strategy file_copy'
    psql(server.program("psql"), server.url(), create)
    try:
        yield server.url(name)
    finally:
        psql(server.program("psql"), server.url(), f'drop database "{name}" with (force)')


def psql(program: str, url: str, sql: str) -> str:
    """Run one statement and return what psql prints, unaligned."""
    done = subprocess.run(
        [program, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
