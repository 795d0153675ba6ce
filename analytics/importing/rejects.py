"""The refused lines as NDJSON: line number, code, field, message and the line itself."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from analytics.errors import CommandError
from analytics.importing.lines import Flaw, InputLine

MAX_SHOWN_BYTES = 10_000
"""Bytes that are written of a line refused for its length."""

_encode = msgspec.json.Encoder().encode


class Rejects:
    """The file of refused lines; it is created with the first of them."""

    def __init__(self, path: Path, *, named: bool = True) -> None:
        """`named`: the user named the path. Else it may be no link, which another put there."""
        self.path = path
        self._flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (0 if named else os.O_NOFOLLOW)
        self._file: BinaryIO | None = None
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            with contextlib.suppress(OSError):  # what could not be written, `write` has said
                self._file.close()

    def resume(self, size: int) -> None:
        """Cut the file of an earlier import to `size` bytes: later lines are judged again."""
        if self.path.is_symlink() or not self.path.is_file():
            return  # such as /dev/null
        if size == 0:
            self.path.unlink()
        else:
            self.size_bytes = min(size, self.path.stat().st_size)
            self._opened().truncate(self.size_bytes)

    def write(self, rejected: Sequence[tuple[InputLine, Flaw]]) -> None:
        """Add lines. Raises CommandError when the file cannot be written."""
        if not rejected:
            return
        data = b"".join(_encode(_record(line, flaw)) + b"\n" for line, flaw in rejected)
        try:
            file = self._opened()
            file.write(data)
            file.flush()
        except OSError as error:
            raise CommandError(
                f"{self.path} cannot be written: {error.strerror}; "
                "name another file with --rejected"
            ) from error
        self.size_bytes += len(data)

    def _opened(self) -> BinaryIO:
        self._file = self._file or os.fdopen(os.open(self.path, self._flags, 0o666), "ab")
        return self._file


def _record(line: InputLine, flaw: Flaw) -> dict[str, object]:
    # only a line with a flaw of its own is too long; an event's field may be `too_long` as well
    too_long = flaw is line.flaw and flaw.code == "too_long"
    shown = line.raw[:MAX_SHOWN_BYTES] if too_long else line.raw
    text = shown.rstrip(b"\r\n").decode(errors="backslashreplace")
    return {
        "line": line.number,
        "code": flaw.code,
        "field": flaw.field,
        "message": flaw.message,
        "text": text,
    }
