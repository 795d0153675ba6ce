"""How far an import is: saved on disk after every acknowledged batch."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from analytics import file_lock, private_files
from analytics.errors import CommandError


class Position(msgspec.Struct, frozen=True):
    """Every line before it is durable in the queue, or written to the file of rejected lines."""

    offset: int = 0
    """In decompressed bytes."""
    line: int = 0
    """Lines before it."""
    chain: bytes = b""
    """The digest of these lines, by `judge.link`."""
    accepted: int = 0
    """Events accepted from these lines."""
    rejected: dict[str, int] = {}
    """Lines rejected, by code."""
    rejects_size: int = 0
    """Bytes of the file of rejected lines."""
    found: tuple[str, ...] = ()
    """The mapped fields that these lines have."""


class Keeper:
    """Saves and loads the position of one import; without a path (a pipe), it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of this import.

        Raises CommandError when another process imports the same file now, or when DATA_DIR cannot
        be written.
        """
        if self._path is None:
            yield
            return
        file = self._path.with_suffix(".lock")
        try:
            # the folder of DATA_DIR first: who may change it may put another in its place
            private_files.claim_data(self._path.parent.parent)
            private_files.claim(self._path.parent)
            lock = file_lock.acquire(file)
        except OSError as error:
            raise CommandError(
                f"the position cannot be saved in {self._path.parent}: {error.strerror}; set "
                "DATA_DIR to a folder of your own"
            ) from error
        if lock is None:
            raise CommandError("another process is importing this file now")
        with lock:
            yield
            if not self._path.exists():
                file.unlink(missing_ok=True)

    def load(self) -> Position | None:
        """Where an interrupted import stopped; None to start at the beginning.

        A position that cannot be read is no error: importing lines again does no harm.
        """
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(private_files.read(self._path), type=Position)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, position: Position) -> None:
        """Replace the saved position atomically."""
        if self._path:
            private_files.replace(self._path, msgspec.json.encode(position))

    def forget(self) -> None:
        """Delete the saved position: the import is complete, or starts again."""
        if self._path:
            self._path.unlink(missing_ok=True)


def keeper_of(data_dir: Path, identity: bytes | None, *circumstances: object) -> Keeper:
    """The keeper for one file, recognized by its content, and for one set of circumstances.

    `circumstances` are whatever must be equal to resume: the project, the platform, the format.
    """
    if identity is None:
        return Keeper(None)
    digest = hashlib.sha256(identity + repr(circumstances).encode()).hexdigest()
    return Keeper(data_dir / "imports" / f"{digest[:32]}.json")
