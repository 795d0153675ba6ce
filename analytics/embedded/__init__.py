"""A PostgreSQL and a Valkey for development: started and stopped with `analytics run`.

`server.py`  a server as a child process   `postgres.py`, `valkey.py`  the two, each from its wheel
`ports.py`   ports that nobody else gets
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from analytics import file_lock
from analytics.embedded.ports import free_port
from analytics.embedded.postgres import Postgres, create_database
from analytics.embedded.server import uninterrupted
from analytics.embedded.valkey import Valkey
from analytics.errors import CommandError

__all__ = [
    "Postgres",
    "Running",
    "Valkey",
    "create_database",
    "free_port",
    "kept_secret",
    "refuse_second",
    "running",
    "servers",
    "uninterrupted",
]


class Running(msgspec.Struct, frozen=True):
    """Where the servers of a running `analytics run` are, for the other commands of this user."""

    pid: int
    redis_url: str
    database_url: str


def running(folder: Path) -> Running | None:
    """The servers of the `analytics run` that has its data in `folder`; None when none runs."""
    record = folder / "running.json"
    if not record.exists() or not file_lock.is_held(folder / "lock"):
        return None
    return msgspec.json.decode(record.read_bytes(), type=Running)


def refuse_second(folder: Path) -> None:
    """Raises CommandError when an `analytics run` has its data in `folder` now.

    Check it before taking ports: the first run holds them too, and that error would say less.
    """
    if other := running(folder):
        raise _already_runs(folder, other)


def _already_runs(folder: Path, other: Running | None) -> CommandError:
    process = f" (process {other.pid})" if other else ""
    return CommandError(
        f"analytics already runs here{process}, with its data in {folder}; "
        "stop it first, or set another DATA_DIR"
    )


@contextlib.contextmanager
def servers(folder: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[Running]:
    """Run both servers, with a database named `analytics`, until the context ends.

    Raises CommandError when another process uses `folder`, or when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # the servers run as another user, who must get through to their folders
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
        lock = file_lock.acquire(folder / "lock")
    except OSError as error:
        raise CommandError(
            f"cannot write in {folder}: {error.strerror}; set DATA_DIR to a writable folder"
        ) from error
    if lock is None:
        raise _already_runs(folder, running(folder))
    with lock:
        yield from _servers(folder, say)


def _servers(folder: Path, say: Callable[[str], None]) -> Iterator[Running]:
    password = kept_secret(folder / "secret")
    postgres = Postgres(folder / "postgres", password=password)
    valkey = Valkey(folder / "valkey", password=password)
    record = folder / "running.json"
    try:
        if not postgres.data.exists():
            say(f"making a database in {folder} (once)")
        valkey.start()
        postgres.start()
        create_database(postgres, "analytics")
        urls = Running(os.getpid(), valkey.url, postgres.url("analytics"))
        record.touch(mode=0o600)
        record.write_bytes(msgspec.json.encode(urls))
        yield urls
    finally:
        with uninterrupted():
            record.unlink(missing_ok=True)
            postgres.stop()
            valkey.stop()


def kept_secret(path: Path, prefix: str = "") -> str:
    """`prefix` and 256 random bits: made once, stored in a file that only this user can read."""
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(prefix + secrets.token_urlsafe(32))
        fresh.rename(path)
    return path.read_text()
