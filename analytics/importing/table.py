"""CSV rows as lines of JSON, so that they are judged like lines of NDJSON.

The header row names the fields of an event. `metadata` is a JSON object, `metadata.KEY` one value
of it, as `literals.py` reads it. An empty cell is an absent field.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import IO

from analytics.errors import CommandError
from analytics.importing import lines
from analytics.importing.lines import Flaw, InputLine
from analytics.importing.literals import PREFIX, field_value, literal
from analytics.importing.mapping import REQUIRED, Mapping, is_field, put
from analytics.importing.stray_quote import took_rows
from analytics.protocols.metadata import encode

DELIMITERS = ",;\t"

LONG_ROW_LINES = 10
"""A row of more lines is shown to the operator: perhaps a quote is missing."""

MAX_ROW_LINES, MANY_QUOTES_ROW_LINES = 10_000, 100
"""Of one row; and in a file of so many stray quotes that MANY_LINES were read again."""

MANY_LINES = 100_000


class CsvTable:
    """A stream of CSV; its header is read at once."""

    def __init__(self, stream: IO[bytes], name: str, mapping: Mapping) -> None:
        """Raises CommandError when the header lacks a required field, or one that is mapped."""
        self._stream = stream
        self._constants = mapping.constants
        self._feed = _Feed(lines.read(stream))
        try:
            first = next(self._feed, "")
            self._delimiter = max(DELIMITERS, key=first.count)
            header = next(csv.reader([first], delimiter=self._delimiter, strict=True), [])
        except (csv.Error, UnicodeDecodeError, _Flawed) as error:
            raise CommandError(
                f"{name} has no header row: {error}; if it is not CSV, pass --format=ndjson"
            ) from error
        self.columns = [column.strip() for column in header]
        if not any(self.columns):
            raise CommandError(f"{name} has no header row: its first line is empty")
        mapped = dict(mapping.names)
        if unknown := [theirs for theirs in mapped if theirs not in self.columns]:
            raise CommandError(f"{name} has no column {unknown[0]}, which --map names")
        self.ignored = [
            column for column in self.columns if column not in mapped and not is_field(column)
        ]
        self._fields = _fields(self.columns, mapping)
        counts = Counter(field for _, field in self._fields)
        self.repeated = [field for field, count in counts.items() if count > 1]
        known = {*counts, *dict(mapping.constants)}
        if missing := [field for field in REQUIRED if field not in known]:
            raise CommandError(
                f"{name} has no column {' and no column '.join(missing)}; its header row must name "
                "the fields of an event, or --map and --set must"
            )

    def rows(self, offset: int, number: int) -> Iterator[InputLine]:
        """All rows from `offset` on (0: after the header); `number` lines come before it.

        A row of several lines that is no CSV, or whose lines seem to be rows, is refused by its
        first line alone: a stray quote has taken the others in, so they are read again.
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
            cells = next(csv.reader(self._feed, delimiter=self._delimiter, strict=True))
            further = [line.raw.decode() for line in self._feed.taken[1:] if line.text]
            if took_rows(cells, further, self._delimiter):
                message = "each of them looks like a row of its own"
                raise _Flawed(Flaw("not_csv", None, message))
            text = self._json(cells)
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
        event: dict[str, object] = {}
        values: dict[str, object] = {}
        for at, field in self._fields:
            if not (cell := cells[at]):
                continue
            if field.startswith(PREFIX):
                values[field.removeprefix(PREFIX)] = literal(cell)
            else:
                put(event, field, field_value(field, cell))
        if values:
            put(event, "metadata", values)
        for field, value in self._constants:
            put(event, field, value)
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
        self._read_again = 0
        self.taken: list[InputLine] = []

    def put_back(self) -> None:
        """All but the first of the row's lines come again."""
        self._again += self.taken[:0:-1]
        self._read_again += len(self.taken) - 1
        del self.taken[1:]

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        most = MAX_ROW_LINES if self._read_again < MANY_LINES else MANY_QUOTES_ROW_LINES
        if len(self.taken) == most:
            raise _Flawed(Flaw("not_csv", None, f"a row has at most {most:,} lines here"))
        line = self._again.pop() if self._again else next(self._lines)
        self.taken.append(line)
        if line.flaw:
            raise _Flawed(line.flaw)
        try:
            return line.raw.decode()
        except UnicodeDecodeError as error:
            message = f"the line is not UTF-8 (byte {error.start})"
            raise _Flawed(Flaw("not_csv", None, message)) from error


def _fields(columns: Sequence[str], mapping: Mapping) -> list[tuple[int, str]]:
    """(index of a column, the field that it is): of one field the last that has a value counts."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for at, column in enumerate(columns):
        places[column].append(at)
    mapped = dict(mapping.names)
    own = [(column, column) for column in places if is_field(column) and column not in mapped]
    return [(at, ours) for theirs, ours in [*own, *mapping.names] for at in places[theirs]]
