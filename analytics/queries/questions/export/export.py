"""Export: all events of the range as a file, oldest first, without a limit.

It is read in slices of bounded rows and bytes, each from a snapshot of its own. So no statement
grows with the range or with how few rows pass, and no connection is held while a client reads.
Every event stored before the export began is in it.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, Text, cast, func, select, tuple_

from analytics.errors import BadRequest
from analytics.queries.database.snapshot import Snapshot, Snapshots
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import FilteredQuery
from analytics.queries.question import Question, StreamedFile
from analytics.queries.questions.cursors import ExportCursor
from analytics.queries.questions.events.events import event_of, stored
from analytics.queries.questions.export.formats import FORMATS, Format
from analytics.tables import raw_events

SLICE_ROWS = 10_000
SLICE_BYTES = 4 * 1024 * 1024
"""Of metadata in one slice, as text; a single larger event is a slice of its own."""


class Export(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/export`."""

    format: Literal["ndjson", "csv", "parquet"] = "ndjson"
    formulas: Literal["keep", "escape"] = "keep"
    cursor: ExportCursor | None = None

    @classmethod
    def complete(cls, values: dict[str, Any], now: datetime, project: str) -> None:
        super().complete(values, now, project)
        if "cursor" in values and values["cursor"].timestamp >= values["end"]:
            raise BadRequest("cursor: it is not in the range", code="bad_parameter", field="cursor")
        if values.get("formulas") == "escape" and values.get("format") != "csv":
            raise BadRequest(
                "formulas=escape is for format=csv", code="conflicting_parameters", field="formulas"
            )


class Place(msgspec.Struct, frozen=True):
    """A place between two rows: after the row of this timestamp and id.

    Without an id: before all rows of this timestamp.
    """

    timestamp: datetime
    id: UUID | None = None

    @property
    def after(self) -> list[Condition]:
        """The rows after the place."""
        # The first condition follows from the second; partitions are pruned by it alone.
        since = raw_events.c.timestamp >= self.timestamp
        if self.id is None:
            return [since]
        return [since, tuple_(*_ORDER) > tuple_(self.timestamp, self.id)]

    @property
    def until(self) -> list[Condition]:
        """The rows up to the place."""
        return [
            raw_events.c.timestamp <= self.timestamp,
            tuple_(*_ORDER) <= tuple_(self.timestamp, self.id),
        ]


_ORDER: tuple[ColumnElement[datetime], ColumnElement[UUID]] = (
    raw_events.c.timestamp,
    raw_events.c.id,
)


def slice_end(query: Export, place: Place) -> Statement:
    """The `timestamp` and `id` of the last row of the slice that begins at a place.

    No row where no event is left. Filters do not count, so that every slice is equally quick.
    Only as many rows are decompressed as fit a slice compressed.
    """
    conditions = [
        raw_events.c.project == query.project,
        *place.after,
        raw_events.c.timestamp < query.end,
    ]
    metadata = raw_events.c.metadata
    first_rows = (
        select(*_ORDER, metadata, func.pg_column_size(metadata).label("size"))
        .where(*conditions)
        .order_by(*_ORDER)
        .limit(SLICE_ROWS)
    )
    likely = _fitting(first_rows, "rows", "likely")
    text = cast(likely.selected_columns.metadata, Text)
    slice_ = _fitting(likely.add_columns(func.octet_length(text).label("size")), "sized", "slice")
    return slice_.order_by(*(each.desc() for each in slice_.selected_columns[:2])).limit(1)


def _fitting(rows: Select[Any], name: str, result: str) -> Select[Any]:
    """The first of some rows, without their `size`, of which all together are in SLICE_BYTES."""
    row = rows.subquery(name)
    order = (row.c.timestamp, row.c.id)
    running = [
        func.sum(row.c.size).over(order_by=order).label("bytes"),
        func.row_number().over(order_by=order).label("number"),
    ]
    columns = [each for each in row.c if each.name != "size"]
    counted = select(*columns, *running).subquery(result)
    fits = (counted.c.bytes <= SLICE_BYTES) | (counted.c.number == 1)
    return select(*(counted.c[each.name] for each in columns)).where(fits)


def slice_rows(query: Export, place: Place, end: Place) -> Statement:
    """The rows of a slice that pass the filters."""
    return stored().where(*query.filters, *place.after, *end.until).order_by(*_ORDER)


async def chunks(
    query: Export, format: Format, snapshots: Snapshots
) -> AsyncGenerator[bytes, None]:
    """The file, piece by piece."""
    yield format.begin()
    place: Place | None = Place(query.start)
    if query.cursor and query.cursor.timestamp >= query.start:
        place = Place(query.cursor.timestamp, query.cursor.id)
    while place is not None:
        async with snapshots() as snapshot:
            last = await snapshot.rows(slice_end(query, place))
            end = Place(last[0].timestamp, last[0].id) if last else None
            rows = await snapshot.rows(slice_rows(query, place, end)) if end else []
        place = end
        if rows:
            yield await asyncio.to_thread(_encoded, format, rows)
    yield format.end()


def _encoded(format: Format, rows: Sequence[Any]) -> bytes:
    return format.batch([event_of(row) for row in rows])


async def answer(query: Export, snapshot: Snapshot) -> StreamedFile:
    """All events in the range that pass the filters, as a file."""
    # in a thread: the first of a process to write Parquet imports pyarrow, which takes a second
    format = await asyncio.to_thread(
        FORMATS[query.format], query.cursor is not None, query.formulas == "escape"
    )
    return StreamedFile(
        format.media_type, f"events.{query.format}", chunks(query, format, snapshot.another)
    )


QUESTION = Question(
    "/export",
    Export,
    answer,
    tuple(format.media_type for format in FORMATS.values()),
    cacheable=False,
    streamed=True,
)
