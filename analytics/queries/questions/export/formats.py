"""The formats of an export: NDJSON, CSV and Parquet, written batch by batch."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from analytics.events import Event, public
from analytics.formulas import escaped

COLUMNS = (
    "id",
    "project",
    "session_id",
    "user_id",
    "event_type",
    "event_action",
    "metadata",
    "timestamp",
    "created_at",
)


class Format:
    """Writes events, one batch after the other."""

    media_type: str

    def __init__(self, resumed: bool, escape: bool = False) -> None:
        """`resumed`: whether this continues a file, whose beginning was sent before.

        `escape`: whether text that a spreadsheet would calculate is made harmless.
        """
        self.resumed = resumed
        self.escape = escape

    def begin(self) -> bytes:
        """What comes before the events; empty in most formats."""
        return b""

    def batch(self, events: Sequence[Event]) -> bytes:
        """Some events, or as much of the file as is complete with them."""
        raise NotImplementedError

    def end(self) -> bytes:
        """What comes after the events; empty in most formats."""
        return b""


class Ndjson(Format):
    """One JSON object a line, as `/api/events` shows it."""

    media_type = "application/x-ndjson"

    _encoder = msgspec.json.Encoder()

    def batch(self, events: Sequence[Event]) -> bytes:
        return self._encoder.encode_lines(map(public, events))


class Csv(Format):
    """RFC 4180, with a header. Metadata is JSON text; null is an empty cell."""

    media_type = "text/csv; charset=utf-8"

    def begin(self) -> bytes:
        return b"" if self.resumed else self._written([COLUMNS])

    def batch(self, events: Sequence[Event]) -> bytes:
        return self._written(map(self._cells, events))

    def _cells(self, event: Event) -> Iterator[str | None]:
        for column in COLUMNS:
            value = getattr(event, column)
            cell = value.decode() if isinstance(value, bytes) else msgspec.to_builtins(value)
            yield escaped(cell) if cell and self.escape else cell

    @staticmethod
    def _written(rows: Any) -> bytes:
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows(rows)
        return buffer.getvalue().encode()


class Parquet(Format):
    """One file, readable only with its end. A batch is a row group; metadata is JSON text."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self, resumed: bool, escape: bool = False) -> None:
        super().__init__(resumed, escape)
        # large, and needed for this alone
        import pyarrow
        import pyarrow.parquet

        instant = pyarrow.timestamp("us", tz="UTC")
        kinds = {
            name: instant if name in ("timestamp", "created_at") else pyarrow.string()
            for name in COLUMNS
        }
        self._arrow = pyarrow
        self._schema = pyarrow.schema(
            [pyarrow.field(name, kind, nullable=name == "user_id") for name, kind in kinds.items()]
        )
        self._buffer = io.BytesIO()
        self._writer = pyarrow.parquet.ParquetWriter(
            pyarrow.PythonFile(_Tail(self._buffer), mode="w"), self._schema, compression="zstd"
        )

    def batch(self, events: Sequence[Event]) -> bytes:
        columns = {name: [getattr(event, name) for event in events] for name in COLUMNS}
        columns["id"] = [str(id_) for id_ in columns["id"]]
        columns["metadata"] = [text.decode() for text in columns["metadata"]]
        if events:
            self._writer.write_table(self._arrow.table(columns, self._schema))
        return self._take()

    def end(self) -> bytes:
        self._writer.close()
        return self._take()

    def _take(self) -> bytes:
        """What was written since the last time."""
        data = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return data


class _Tail(io.RawIOBase):
    """A file that is only appended to. Its position counts bytes already taken from the buffer."""

    def __init__(self, buffer: io.BytesIO) -> None:
        self._buffer = buffer
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = self._buffer.write(data)
        self._written += size
        return size

    def tell(self) -> int:
        return self._written


FORMATS: dict[str, type[Format]] = {"ndjson": Ndjson, "csv": Csv, "parquet": Parquet}
