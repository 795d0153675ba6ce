"""A file to import: opened, decompressed, and recognized by its content, not by its name."""

import bz2
import contextlib
import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from analytics.errors import CommandError

STDIN = "-"
END_BYTES = 65_536
"""Bytes at either end of a file that enter its digest."""

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
"""What decompressing a damaged file raises, besides bz2's OSError, which has no errno."""


@contextlib.contextmanager
def opened(path: str) -> Iterator["InputFile"]:
    """Open a file, or standard input; raises CommandError when it cannot be read."""
    if path == STDIN:
        yield InputFile(path, cast(BinaryIO, sys.stdin.buffer))
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from error
        yield InputFile(path, file)


class InputFile:
    """An open file; its `stream` is decompressed and seekable, unless the file is a pipe."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.identity = None if path == STDIN else _identity(file)
        self.size_bytes = os.fstat(file.fileno()).st_size if self.identity else None
        self.stream = _decompressed(file, path)

    @property
    def name(self) -> str:
        return "standard input" if self.path == STDIN else self.path

    @property
    def read_bytes(self) -> int:
        """Compressed bytes read so far, of `size_bytes`; 0 for a pipe."""
        return self._file.tell() if self.identity else 0


def damage(error: Exception) -> str | None:
    """What is wrong with compressed data; None when the error says something else."""
    if isinstance(error, DAMAGE) or (type(error) is OSError and error.errno is None):
        return str(error).rstrip(".").lower()
    return None


def _identity(file: BinaryIO) -> bytes | None:
    """A digest of size, modification time and both ends; None for a pipe (readable once)."""
    if not file.seekable():
        return None
    status = os.fstat(file.fileno())
    head = file.read(END_BYTES)
    file.seek(max(0, status.st_size - END_BYTES))
    tail = file.read(END_BYTES)
    file.seek(0)
    facts = f"{status.st_size} {status.st_mtime_ns} {len(head)} "
    return hashlib.sha256(facts.encode() + head + tail).digest()


def _decompressed(file: BinaryIO, path: str) -> IO[bytes]:
    """The stream to read; the first bytes tell the compression, not the file's name."""
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
