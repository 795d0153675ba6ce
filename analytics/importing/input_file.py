"""A file to import: opened, decompressed, and recognized by its content, not by its name."""

import bz2
import contextlib
import gzip
import hashlib
import os
import shlex
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from analytics.errors import CommandError

STDIN = "-"
COMMAND = f"analytics import {STDIN}"
"""Imports standard input."""

END_BYTES = 65_536
"""Bytes at either end of a file that enter its digest."""

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
"""What decompressing a damaged file raises, besides bz2's OSError, which has no errno."""

UNPACKERS = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\x28\xb5\x2f\xfd": "zstdcat"}
"""First bytes of a compressed file → the program that decompresses it."""


@contextlib.contextmanager
def opened(path: str, command: str = COMMAND) -> Iterator["InputFile"]:
    """Open a file, or standard input; raises CommandError when it cannot be read.

    `command` imports standard input as this file is to be imported.
    """
    if path == STDIN:
        yield InputFile(path, cast(BinaryIO, sys.stdin.buffer), command)
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from error
        yield InputFile(path, file, command)


class InputFile:
    """An open file; its `stream` is decompressed and seekable, unless the file is a pipe."""

    def __init__(self, path: str, file: BinaryIO, command: str = COMMAND) -> None:
        """Raises CommandError for a compression that cannot be read."""
        self.path = path
        self._command = command
        self._file = file
        self.identity = None if path == STDIN else _identity(file)
        self.size_bytes = os.fstat(file.fileno()).st_size if self.identity else None
        self._unpack = _unpacker(file)
        self.stream = self._decompressed()

    @property
    def name(self) -> str:
        return "standard input" if self.path == STDIN else self.path

    @property
    def read_bytes(self) -> int:
        """Compressed bytes read so far, of `size_bytes`; 0 for a pipe."""
        return self._file.tell() if self.identity else 0

    @property
    def head(self) -> bytes:
        """The first bytes of the text, at least 256 if there are so many; they are not consumed."""
        head: bytes = self.stream.peek(256)  # type: ignore[attr-defined]  # all our streams can
        return head

    def through(self, program: str) -> str:
        """The command that imports what a program makes of the decompressed text."""
        steps = [step for step in (self._unpack, program) if step]
        if self.path == STDIN:
            steps.insert(0, "…")
        else:
            steps[0] += f" < {shlex.quote(self.path)}"
        return " | ".join([*steps, self._command])

    def _decompressed(self) -> IO[bytes]:
        if self._unpack == "gunzip":
            return cast(IO[bytes], gzip.GzipFile(fileobj=self._file, mode="rb"))
        if self._unpack == "bunzip2":
            return bz2.BZ2File(self._file)
        if self._unpack:
            raise CommandError(
                f"{self.name} is compressed with zstd, which the import cannot read: "
                f"{self.through('')}"
            )
        return self._file


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


def _unpacker(file: BinaryIO) -> str | None:
    """The program that decompresses a file; its first bytes tell, not its name."""
    magic = file.peek(4)[:4]  # type: ignore[attr-defined]  # both are BufferedReaders
    return next((program for start, program in UNPACKERS.items() if magic.startswith(start)), None)
