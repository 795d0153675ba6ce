"""CSV rows as lines of JSON, so that they are judged like lines of NDJSON.

The header row names the fields of an event. `metadata` is a JSON object, `metadata.KEY` one value
of it: a number, a list or an object as JSON writes it, true, false or null in any case, and else
text. An empty cell is an absent field.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from analytics.errors import CommandError
from analytics.importing import lines
from analytics.importing.lines import Flaw, InputLine
from analytics.importing.mapping import FIELDS, PREFIX, REQUIRED, Mapping, is_field
from analytics.protocols import numbers
from analytics.protocols.metadata import encode

DELIMITERS = ",;\t"

LONG_ROW_LINES = 10
"""A row of more lines is shown to the operator: perhaps a quote is missing."""

_WORDS = {"true": b"true", "false": b"false", "null": b"null"}
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_raw = msgspec.json.Decoder(msgspec.Raw).decode


class CsvTable:
    """A stream of CSV; its header is read at once."""

    def __init__(self, stream: IO[bytes], name: str, mapping: Mapping) -> None:
        """Raises CommandError when the header lacks a required field, or one that is mapped."""
        self._stream = stream
        constants = mapping.constants.items()
        self._fields = {field: _value(field, text) for field, text in constants if field in FIELDS}
        self._values = {
            field.removeprefix(PREFIX): _literal(text)
            for field, text in constants
            if field not in FIELDS
        }
        self._feed = _Feed(lines.read(stream))
        try:
            first = next(self._feed, "")
            self._delimiter = max(DELIMITERS, key=first.count)
            self.columns = next(csv.reader([first], delimiter=self._delimiter, strict=True), [])
        except (csv.Error, UnicodeDecodeError, _Flawed) as error:
            raise CommandError(
                f"{name} has no header row: {error}; if it is not CSV, pass --format=ndjson"
            ) from error
        theirs = [column.strip() for column in self.columns]
        if unknown := [column for column in mapping.names if column not in theirs]:
            raise CommandError(f"{name} has no column {unknown[0]}, which --map names")
        self.columns = [mapping.names.get(column, column) for column in theirs]
        known = {*self.columns, *mapping.constants}
        if missing := [field for field in REQUIRED if field not in known]:
            raise CommandError(
                f"{name} has no column {' and no column '.join(missing)}; its header row must name "
                "the fields of an event, or --map and --set must"
            )
        self.ignored = [column for column in self.columns if not is_field(column)]
        self._properties = {*self.columns} - {*self.ignored, *FIELDS}
        self.repeated = [column for column, n in Counter(self.columns).items() if n > 1]

    def rows(self, offset: int, number: int) -> Iterator[InputLine]:
        """All rows from `offset` on (0: after the header); `number` lines come before it.

        A row of several lines that is no CSV is refused by its first line alone: a stray quote has
        taken the others in, so they are read again.
        """
        if offset:
            self._stream.seek(offset)
            self._feed = _Feed(lines.read(self._stream, offset, number))
        csv.field_size_limit(lines.MAX_LINE_BYTES)
        while (row := self._row()) is not None:
            yield row

    def _row(self) -> InputLine | None:
        """The next row; None at the end."""
        self._feed.taken.clear()
        text, flaw = b"", None
        try:
            # a reader of its own: after an error the last one may be inside a quoted cell
            text = self._json(next(csv.reader(self._feed, delimiter=self._delimiter, strict=True)))
        except StopIteration:
            return None
        except _Flawed as error:
            flaw = error.flaw
        except csv.Error as error:
            flaw = Flaw("not_csv", None, f"the row is no CSV: {error}")
        taken = self._feed.taken
        if flaw and (more := len(taken) - 1):
            self._feed.put_back()
            lines_ = f"{more} more line{'s' * (more > 1)}"
            message = f"a quoted cell goes on for {lines_}, which are read again: {flaw.message}"
            flaw = Flaw(flaw.code, flaw.field, message)
        raw = b"".join(line.raw for line in taken)
        return InputLine(taken[0].number, taken[-1].last, taken[-1].end, raw, text, flaw)

    def _json(self, cells: Sequence[str]) -> bytes:
        """One row as a JSON object; empty for a blank row."""
        if not cells:
            return b""
        if len(cells) != len(self.columns):
            message = f"the row has {len(cells)} cells, the header row {len(self.columns)}"
            raise _Flawed(Flaw("not_csv", None, message))
        row = {column: cell for column, cell in zip(self.columns, cells, strict=True) if cell}
        fields = {column: _value(column, cell) for column, cell in row.items() if column in FIELDS}
        event = fields | self._fields
        values = {
            column.removeprefix(PREFIX): _literal(cell)
            for column, cell in row.items()
            if column in self._properties
        } | self._values
        if values:
            event["metadata"] = _merged(event.get("metadata"), values)
        return encode(event)


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
        self._again: list[InputLine] = []
        self.taken: list[InputLine] = []

    def put_back(self) -> None:
        """All but the first of the row's lines come again."""
        self._again += self.taken[:0:-1]
        del self.taken[1:]

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines)
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
    """A value of the metadata."""
    if word := _WORDS.get(cell.lower()):
        return msgspec.Raw(word)
    return _parsed(cell) if cell[0] in "[{" else numbers.of(cell)


def _parsed(cell: str) -> object:
    """The JSON in a cell, or the cell where it is none; the column `metadata` then is rejected."""
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
