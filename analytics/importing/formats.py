"""The format of a file, and what to do about a file that has none of them."""

from analytics.errors import CommandError
from analytics.importing import lines
from analytics.importing.input_file import InputFile

FORMATS = ("ndjson", "csv")
SUFFIXES = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".tsv": "csv",
}

MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""Byte-order marks, the longer ones first; iconv takes them off."""

UNMARKED: dict[tuple[bool, ...], str] = {
    (True, False, False, False): "UTF-32LE",
    (False, False, False, True): "UTF-32BE",
    (True, False, True, False): "UTF-16LE",
    (False, True, False, True): "UTF-16BE",
}
"""Which of the first four bytes are not zero: without a mark, text begins in ASCII."""


def format_of(file: InputFile) -> str:
    """The format by the file's suffix before `.gz` or `.bz2`, else by its first byte."""
    name = file.path.lower().removesuffix(".gz").removesuffix(".bz2")
    for suffix, kind in SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    return "ndjson" if _first(file) in (b"{", b"[", b"") else "csv"


def check(file: InputFile, kind: str) -> None:
    """Raises CommandError, which says what helps, for text that has no lines for us."""
    head = file.head
    if encoding := _encoding(head):
        program = f"iconv -f {encoding} -t UTF-8"
        raise CommandError(f"{file.name} is {encoding}: {file.through(program)}")
    if b"\r" in head and b"\n" not in head:
        program = r"tr '\r' '\n'"
        raise CommandError(f"{file.name} ends its lines with CR alone: {file.through(program)}")
    if kind == "ndjson" and _first(file) == b"[":
        program = "jq -c '.[]'"
        raise CommandError(
            f"{file.name} is one JSON list, not an event a line: {file.through(program)}"
        )


def _encoding(head: bytes) -> str | None:
    """What the bytes show to be neither UTF-8 nor ASCII; None if they do not."""
    marked = next((MARKS[mark] for mark in MARKS if head.startswith(mark)), None)
    return marked or UNMARKED.get(tuple(byte != 0 for byte in head[:4]))


def _first(file: InputFile) -> bytes:
    """The first byte behind a byte-order mark and blanks."""
    return file.head.removeprefix(lines.BOM).lstrip()[:1]
