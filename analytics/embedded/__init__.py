"""The development PostgreSQL and Valkey: real servers from their wheels, started beside us and
stopped with us.
"""

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from analytics.embedded.postgres import Postgres, create_database
from analytics.embedded.server import free_port, uninterrupted
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
    """What a running `analytics run` tells the other commands of this user: where its servers are."""

    pid: int
    redis_url: str
    database_url: str


def running(folder: Path) -> Running | None:
    """The servers that `analytics run` holds in `folder` now, if any."""
    record = folder / "running.json"
    if not record.exists() or not _locked(folder / "lock"):
        return None
    return msgspec.json.decode(record.read_bytes(), type=Running)


def refuse_second(folder: Path) -> None:
    """Raises CommandError when `analytics run` holds `folder` now; the ports that it holds too
    would say less.
    """
    if other := running(folder):
        raise _held(folder, other)


def _held(folder: Path, other: Running | None) -> CommandError:
    who = f" (process {other.pid})" if other else ""
    return CommandError(
        f"analytics already runs here{who}, with its data in {folder}; stop it first, or set another DATA_DIR"
    )


def _locked(path: Path) -> bool:
    try:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def servers(folder: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[Running]:
    """Both servers, running, with the database `analytics` made; stopped on leaving. Raises
    CommandError when another holds `folder`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise CommandError(
            f"cannot write in {folder}: {error.strerror}; set DATA_DIR to a writable folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(folder, running(folder)) from None
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
        found = Running(os.getpid(), valkey.url, postgres.url("analytics"))
        record.touch(mode=0o600)
        record.write_bytes(msgspec.json.encode(found))
        yield found
    finally:
        with uninterrupted():
            record.unlink(missing_ok=True)
            postgres.stop()
            valkey.stop()


def kept_secret(path: Path, prefix: str = "") -> str:
    """`prefix` and 256 random bits, made once and kept in a file that only this user can read."""
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(prefix + secrets.token_urlsafe(32))
        fresh.rename(path)
    return path.read_text()
