"""Bytes → lines: numbered, each with the offset at which the next begins, none of them longer than
memory is glad to hold.
"""

from collections.abc import Iterator
from typing import IO

import msgspec

MAX_LINE = 1_048_576
"""Bytes of a line: what a request to /collect may have."""

BOM = b"\xef\xbb\xbf"


class Flaw(msgspec.Struct, frozen=True):
    """Why something in a file is no event: the codes of /collect, with `not_json` and `not_csv` for
    what is not even that.
    """

    code: str
    field: str | None
    message: str


class Line(msgspec.Struct, frozen=True, gc=False):
    """One event of a file, hopefully."""

    number: int
    """Of its first line in the file, from 1."""
    last: int
    """Of its last one; a CSV row may have several."""
    end: int
    """Where the next begins, in inflated bytes."""
    source: bytes
    """As the file has it; only the beginning of one that is too long."""
    text: bytes
    """The JSON to be judged; none where the line is blank."""
    flaw: Flaw | None = None


def read(stream: IO[bytes], offset: int = 0, number: int = 0) -> Iterator[Line]:
    """All lines from `offset` on, before which there are `number` lines."""
    while raw := stream.readline(MAX_LINE + 1):
        number += 1
        begun, offset = offset, offset + len(raw)
        flaw = None
        if len(raw) > MAX_LINE and not raw.endswith(b"\n"):
            offset += _skip(stream)
            flaw = Flaw("too_long", None, f"the line has more than {MAX_LINE} bytes")
        if begun == 0:
            raw = raw.removeprefix(BOM)
        yield Line(number, number, offset, raw, raw.strip(b" \t\r\n"), flaw)


def _skip(stream: IO[bytes]) -> int:
    """Read on to the end of the line; how many bytes that took."""
    skipped = 0
    while raw := stream.readline(MAX_LINE):
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped
