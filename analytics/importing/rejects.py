"""The refused lines as NDJSON: line number, code, field, message and the line itself."""

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

    def __init__(self, path: Path) -> None:
        self.path = path
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
            self._file.close()

    def resume(self, size: int) -> None:
        """Cut the file of an earlier import to `size` bytes: later lines are judged again."""
        if size == 0:
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
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
        self._file = self._file or self.path.open("ab")
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
