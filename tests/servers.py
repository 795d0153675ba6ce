"""Real servers for the tests: started once a session, a database or a keyspace for each test."""

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from analytics.embedded import Postgres, Valkey, create_database

PASSWORD = "test-password"


@contextlib.contextmanager
def postgres(folder: Path, **options: str) -> Iterator[Postgres]:
    server = Postgres(folder, password=PASSWORD, port=None, **{"fsync": "off", "max_connections": "200", **options})
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
    if template:
        psql(server.program("psql"), server.url(), f'create database "{name}" template "{template}"')
    else:
        create_database(server, name)
    try:
        yield server.url(name)
    finally:
        psql(server.program("psql"), server.url(), f'drop database "{name}" with (force)')


def psql(program: str, url: str, sql: str) -> str:
    """Run one statement and return what psql prints, unaligned."""
    done = subprocess.run([program, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql], capture_output=True, text=True, check=True)
    return done.stdout.strip()
