"""CSV rows as lines of JSON, so that they are judged like all others.

The header row names the native fields; `metadata` is a JSON object, `metadata.KEY` one value of it:
a number, true, false or null as JSON writes them is one, all else is text. An empty cell is an
absent field.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from analytics.errors import CommandError
from analytics.importing import lines
from analytics.importing.lines import Flaw, Line

REQUIRED = ("session_id", "event_type", "event_action")
FIELDS = (*REQUIRED, "user_id", "metadata", "timestamp", "id")
DELIMITERS = ",;\t"
PREFIX = "metadata."

_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_encode = msgspec.json.Encoder().encode
_raw = msgspec.json.Decoder(msgspec.Raw).decode


class Table:
    """A stream of CSV at its beginning; its header is read, and judged, at once."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        """Raises CommandError when the header does not name what an event must have."""
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
                f"{name} has no column {' and no column '.join(missing)}; its header row must name the fields of an event"
            )
        self.ignored = [
            column
            for column in self.columns
            if column not in FIELDS and not column.startswith(PREFIX)
        ]

    def rows(self, offset: int, number: int) -> Iterator[Line]:
        """All rows from `offset` on, before which there are `number` lines; from the header's end
        if there offset is 0.
        """
        if offset:
            self._stream.seek(offset)
            self._feed = _Feed(lines.read(self._stream, offset, number))
        csv.field_size_limit(lines.MAX_LINE)
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
            yield Line(
                taken[0].number,
                taken[-1].last,
                taken[-1].end,
                b"".join(line.source for line in taken),
                text,
                flaw,
            )

    def _json(self, cells: Sequence[str]) -> bytes:
        if len(cells) != len(self.columns):
            if not cells:
                return b""
            raise _Flawed(
                Flaw(
                    "not_csv",
                    None,
                    f"the row has {len(cells)} cells, the header row {len(self.columns)}",
                )
            )
        given = {column: cell for column, cell in zip(self.columns, cells, strict=True) if cell}
        event = {column: _value(column, cell) for column, cell in given.items() if column in FIELDS}
        singles = {
            column.removeprefix(PREFIX): _literal(cell)
            for column, cell in given.items()
            if column.startswith(PREFIX)
        }
        if singles:
            event["metadata"] = _merged(event.get("metadata"), singles)
        return _encode(event)


class _Flawed(Exception):
    """A row that cannot be judged."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


class _Feed:
    """Lines as csv reads them, remembering which it has taken for the current row. Goes on after an
    error, as no generator would.
    """

    def __init__(self, source: Iterator[Line]) -> None:
        self._source = source
        self.taken: list[Line] = []

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._source)
        self.taken.append(line)
        if line.flaw:
            raise _Flawed(line.flaw)
        try:
            return line.source.decode()
        except UnicodeDecodeError as error:
            raise _Flawed(
                Flaw("not_csv", None, f"the line is not UTF-8 (byte {error.start})")
            ) from error


def _value(column: str, cell: str) -> object:
    if column == "metadata":
        return _parsed(cell)
    return int(cell) if column == "timestamp" and _WHOLE.fullmatch(cell) else cell


def _literal(cell: str) -> object:
    return msgspec.Raw(cell.encode()) if _LITERAL.fullmatch(cell) else cell


def _parsed(cell: str) -> object:
    """The JSON in a cell; text that is none stays text, which the judge will find."""
    try:
        return _raw(cell)
    except msgspec.DecodeError:
        return cell


def _merged(whole: object, singles: dict[str, object]) -> object:
    """The column `metadata` with the values of single columns; left as it is when it is no object."""
    if whole is None:
        return singles
    try:
        return (
            msgspec.json.decode(whole, type=dict[str, msgspec.Raw]) | singles
            if isinstance(whole, msgspec.Raw)
            else whole
        )
    except msgspec.DecodeError:
        return whole
