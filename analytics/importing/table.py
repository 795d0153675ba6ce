"""CSV rows as lines of JSON, so that they are judged like lines of NDJSON.

The header row names the fields of an event. `metadata` is a JSON object, `metadata.KEY` one value
of it. In that value a number, true, false or null in JSON's spelling is taken as such; anything
else is text. An empty cell is an absent field.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from analytics.errors import CommandError
from analytics.importing import lines
from analytics.importing.lines import Flaw, InputLine

REQUIRED = ("session_id", "event_type", "event_action")
FIELDS = (*REQUIRED, "user_id", "metadata", "timestamp", "id")
DELIMITERS = ",;\t"
PREFIX = "metadata."

_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_encode = msgspec.json.Encoder().encode
_raw = msgspec.json.Decoder(msgspec.Raw).decode


class CsvTable:
    """A stream of CSV; its header is read at once."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        """Raises CommandError when the header lacks a required field."""
        self._stream = stream
        self._feed = _Feed(lines.read(stream))
        try:
            first = next(self._feed, "")
            self._delimiter = max(DELIMITERS, key=first.count)
            self.columns = next(csv.reader([first], delimiter=self._delimiter, strict=True), [])
        except (csv.Error, UnicodeDecodeError, _Flawed) as error:
            raise CommandError(
                f"{name} has no header row: {error}; if it is not CSV, pass --format=ndjson"
            ) from error
        self.columns = [column.strip() for column in self.columns]
        if missing := [field for field in REQUIRED if field not in self.columns]:
            raise CommandError(
                f"{name} has no column {' and no column '.join(missing)}; "
                "its header row must name the fields of an event"
            )
        self.ignored = [
            column
            for column in self.columns
            if column not in FIELDS and not column.startswith(PREFIX)
        ]

    def rows(self, offset: int, number: int) -> Iterator[InputLine]:
        """All rows from `offset` on (0: after the header); `number` lines come before it."""
        if offset:
            self._stream.seek(offset)
            self._feed = _Feed(lines.read(self._stream, offset, number))
        csv.field_size_limit(lines.MAX_LINE_BYTES)
        reader = csv.reader(self._feed, delimiter=self._delimiter, strict=True)
        while True:
            self._feed.taken.clear()
            text, flaw = b"", None
            try:
                text = self._json(next(reader))
            except StopIteration:
                break
            except _Flawed as error:
                flaw = error.flaw
            except csv.Error as error:
                flaw = Flaw("not_csv", None, f"the row is no CSV: {error}")
            taken = self._feed.taken
            yield InputLine(
                taken[0].number,
                taken[-1].last,
                taken[-1].end,
                b"".join(line.raw for line in taken),
                text,
                flaw,
            )

    def _json(self, cells: Sequence[str]) -> bytes:
        """One row as a JSON object; empty for a blank row."""
        if not cells:
            return b""
        if len(cells) != len(self.columns):
            message = f"the row has {len(cells)} cells, the header row {len(self.columns)}"
            raise _Flawed(Flaw("not_csv", None, message))
        row = {column: cell for column, cell in zip(self.columns, cells, strict=True) if cell}
        event = {column: _value(column, cell) for column, cell in row.items() if column in FIELDS}
        values = {
            column.removeprefix(PREFIX): _literal(cell)
            for column, cell in row.items()
            if column.startswith(PREFIX)
        }
        if values:
            event["metadata"] = _merged(event.get("metadata"), values)
        return _encode(event)


class _Flawed(Exception):
    """A row that cannot be judged."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


class _Feed:
    """Lines for the csv reader; `taken` are those of the current row.

    It can go on after an error; a generator could not.
    """

    def __init__(self, lines_: Iterator[InputLine]) -> None:
        self._lines = lines_
        self.taken: list[InputLine] = []

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.taken.append(line)
        if line.flaw:
            raise _Flawed(line.flaw)
        try:
            return line.raw.decode()
        except UnicodeDecodeError as error:
            message = f"the line is not UTF-8 (byte {error.start})"
            raise _Flawed(Flaw("not_csv", None, message)) from error


def _value(column: str, cell: str) -> object:
    if column == "metadata":
        return _parsed(cell)
    return int(cell) if column == "timestamp" and _WHOLE.fullmatch(cell) else cell


def _literal(cell: str) -> object:
    return msgspec.Raw(cell.encode()) if _LITERAL.fullmatch(cell) else cell


def _parsed(cell: str) -> object:
    """The JSON in a cell; a cell that is not JSON stays text, and is rejected later."""
    try:
        return _raw(cell)
    except msgspec.DecodeError:
        return cell


def _merged(metadata: object, values: dict[str, object]) -> object:
    """The column `metadata`, if it is an object, with the values of the single columns."""
    if metadata is None:
        return values
    if not isinstance(metadata, msgspec.Raw):
        return metadata
    try:
        return msgspec.json.decode(metadata, type=dict[str, msgspec.Raw]) | values
    except msgspec.DecodeError:
        return metadata
