"""A file to import: opened, inflated where it is compressed, and known again by what it is rather
than by its name.
"""

import bz2
import contextlib
import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from analytics.errors import CommandError

STDIN = "-"
ENDS = 65_536
"""Bytes at either end of a file that tell it from another of the same size and time."""

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
"""What inflating a broken file raises, beside bz2's OSError, which has no errno."""


@contextlib.contextmanager
def opened(path: str) -> Iterator["Source"]:
    """A source by its path. Raises CommandError when it cannot be read."""
    if path == STDIN:
        yield Source(path, cast(BinaryIO, sys.stdin.buffer))
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - it is closed below; only failing to open it is a CommandError
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield Source(path, file)


class Source:
    """An open file; `stream` gives the inflated bytes, from any offset unless it is a pipe."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.identity = None if path == STDIN else _identity(file)
        self.size = os.fstat(file.fileno()).st_size if self.identity else None
        self.stream = _inflated(file, path)

    @property
    def name(self) -> str:
        return "standard input" if self.path == STDIN else self.path

    @property
    def read(self) -> int:
        """Bytes read so far, compressed as they are; of `size`, which standard input does not have."""
        return self._file.tell() if self.identity else 0


def damage(error: Exception) -> str | None:
    """What is wrong with the compressed data if that is what the error says, else None."""
    if isinstance(error, DAMAGE) or (type(error) is OSError and error.errno is None):
        return str(error).rstrip(".").lower()
    return None


def _identity(file: BinaryIO) -> bytes | None:
    """A digest of size, time of change and both ends; None for a pipe, which is read once only."""
    if not file.seekable():
        return None
    status = os.fstat(file.fileno())
    head = file.read(ENDS)
    file.seek(max(0, status.st_size - ENDS))
    tail = file.read(ENDS)
    file.seek(0)
    return hashlib.sha256(
        f"{status.st_size} {status.st_mtime_ns} {len(head)} ".encode() + head + tail
    ).digest()


def _inflated(file: BinaryIO, path: str) -> IO[bytes]:
    """By the first bytes, whatever the file is called."""
    magic = file.peek(4)[:4]  # type: ignore[attr-defined]  # both are BufferedReaders
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic == b"\x28\xb5\x2f\xfd":
        raise CommandError(
            f"{path} is compressed with zstd, which the import cannot read; use zstdcat {path} | "
            "analytics import -"
        )
    return file
