"""Bytes → numbered lines, each with the offset of the next; their length is bounded."""

from collections.abc import Iterator
from typing import IO

import msgspec

MAX_LINE_BYTES = 1_048_576
"""The limit of a request to /collect."""

BOM = b"\xef\xbb\xbf"


class Flaw(msgspec.Struct, frozen=True):
    """Why a line of a file is not an event."""

    code: str
    """A code of /collect, or `not_json`, `not_csv`, `too_long`."""
    field: str | None
    message: str


class InputLine(msgspec.Struct, frozen=True, gc=False):
    """What should be one event: a line of NDJSON, or the lines of a CSV row."""

    number: int
    """The number of its first line in the file, from 1."""
    last: int
    """The number of its last line."""
    end: int
    """Where the next begins, in decompressed bytes."""
    raw: bytes
    """The bytes in the file; of a line that is too long, only the beginning."""
    text: bytes
    """The JSON to judge; empty for a blank line."""
    flaw: Flaw | None = None


def read(stream: IO[bytes], offset: int = 0, number: int = 0) -> Iterator[InputLine]:
    """All lines from `offset` on; `number` lines come before it."""
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        start, offset = offset, offset + len(raw)
        flaw = None
        if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            offset += _skip(stream)
            flaw = Flaw("too_long", None, f"the line has more than {MAX_LINE_BYTES} bytes")
        if start == 0:
            raw = raw.removeprefix(BOM)
        yield InputLine(number, number, offset, raw, raw.strip(b" \t\r\n"), flaw)


def _skip(stream: IO[bytes]) -> int:
    """Read to the end of the line; the count of bytes read."""
    skipped = 0
    while raw := stream.readline(MAX_LINE_BYTES):
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped
