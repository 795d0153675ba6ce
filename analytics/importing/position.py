"""How far an import has come, kept on disk after every acknowledged batch."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from analytics.errors import CommandError


class Position(msgspec.Struct, frozen=True):
    """Up to where every line is either durable in the queue or written down as rejected."""

    offset: int = 0
    """In inflated bytes."""
    line: int = 0
    """Lines up to there."""
    chain: bytes = b""
    """Their digest, as `verdicts.link` makes it."""
    accepted: int = 0
    rejected: dict[str, int] = {}
    """How many, by code."""
    rejects_size: int = 0
    """Bytes of the file of rejected lines."""


class Keeper:
    """The position of one import. One without a file, for what cannot be read again, keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the position. Raises CommandError when another process imports the same file now, or
        DATA_DIR cannot be written.
        """
        if self._path is None:
            yield
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_suffix(".lock").open("w")
        except OSError as error:
            raise CommandError(
                f"the position cannot be saved in {self._path.parent}: {error.strerror}; set "
                "DATA_DIR to a writable folder"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError("another process is importing this file now") from None
            yield
            if not self._path.exists():
                Path(lock.name).unlink(missing_ok=True)

    def load(self) -> Position | None:
        """Where an interrupted import stopped; None when there was none, or when its position
        cannot be read: repeating lines does no harm.
        """
        try:
            return (
                msgspec.json.decode(self._path.read_bytes(), type=Position) if self._path else None
            )
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, position: Position) -> None:
        """Replace the position in one step."""
        if self._path:
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(position))
            os.replace(fresh, self._path)

    def forget(self) -> None:
        """The import is complete, or begins anew."""
        if self._path:
            self._path.unlink(missing_ok=True)


def keeper(data_dir: Path, identity: bytes | None, *circumstances: object) -> Keeper:
    """The keeper for a file, by what is in it, imported under the same circumstances: into the same
    project of the same platform, say.
    """
    if identity is None:
        return Keeper(None)
    digest = hashlib.sha256(identity + repr(circumstances).encode()).hexdigest()
    return Keeper(data_dir / "imports" / f"{digest[:32]}.json")
