"""Export: all events of the range, oldest first, as many as there are.

It is read slice by slice, each of a bounded number of rows and bytes and from a snapshot of its
own: no statement grows with the range or with how rarely a filter holds, and no connection is held
while a client reads. What was stored when it began is in it.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, select, tuple_

from analytics.errors import BadRequest
from analytics.queries.database.snapshot import Snapshot, Snapshots
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import FilteredQuery
from analytics.queries.question import Question, Stream
from analytics.queries.questions.events.events import shown, stored
from analytics.queries.questions.export.formats import FORMATS, Format
from analytics.tables import raw_events

ROWS = 10_000
BYTES = 4 * 1024 * 1024
"""Of metadata in one slice, as it is stored, which is compressed if it is long."""


class Cursor(msgspec.Struct, frozen=True):
    """`TIMESTAMP,ID` of the last event received: the export continues after it."""

    examples: ClassVar = ("2026-11-03T10:20:00Z,00000000-0000-4000-8000-000000000009",)

    text: str
    timestamp: datetime
    id: UUID

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises ValueError for anything else."""
        written, _, id_ = text.partition(",")
        try:
            timestamp = datetime.fromisoformat(written)
            if timestamp.tzinfo is None:
                raise ValueError("a timestamp has an offset, or Z")
            return cls(text, timestamp, UUID(id_))
        except ValueError as error:
            raise ValueError(
                "it is TIMESTAMP,ID, as in the last event received; the timestamp needs an "
                "offset or Z"
            ) from error


class Export(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/export`."""

    format: Literal["ndjson", "csv", "parquet"] = "ndjson"
    cursor: Cursor | None = None

    @classmethod
    def complete(cls, values: dict[str, object], now: datetime, project: str) -> None:
        super().complete(values, now, project)
        cursor, end = values.get("cursor"), values["end"]
        if isinstance(cursor, Cursor) and isinstance(end, datetime) and cursor.timestamp >= end:
            raise BadRequest("cursor: it is not in the range", code="bad_parameter", field="cursor")


class Place(msgspec.Struct, frozen=True):
    """Between two rows: after all rows before this timestamp, and those of that timestamp with an
    id up to this one.
    """

    timestamp: datetime
    id: UUID | None = None

    @property
    def after(self) -> list[Condition]:
        if self.id is None:
            return [raw_events.c.timestamp >= self.timestamp]
        return [
            raw_events.c.timestamp >= self.timestamp,
            tuple_(*_ORDER) > tuple_(self.timestamp, self.id),
        ]

    @property
    def until(self) -> list[Condition]:
        return [
            raw_events.c.timestamp <= self.timestamp,
            tuple_(*_ORDER) <= tuple_(self.timestamp, self.id),
        ]


_ORDER: tuple[ColumnElement[datetime], ColumnElement[UUID]] = (
    raw_events.c.timestamp,
    raw_events.c.id,
)


def edge(query: Export, place: Place) -> Statement:
    """The `timestamp` and `id` of the last row of the slice that begins at a place; nothing where
    there are no more rows.
    """
    conditions = [
        raw_events.c.project == query.project,
        *place.after,
        raw_events.c.timestamp < query.end,
    ]
    size = func.pg_column_size(raw_events.c.metadata).label("size")
    row = select(*_ORDER, size).where(*conditions).order_by(*_ORDER).limit(ROWS).subquery("rows")
    order = (row.c.timestamp, row.c.id)
    running = [
        func.sum(row.c.size).over(order_by=order).label("bytes"),
        func.row_number().over(order_by=order).label("number"),
    ]
    slice_ = select(*order, *running).subquery("slice")
    fits = (slice_.c.bytes <= BYTES) | (slice_.c.number == 1)
    return (
        select(slice_.c.timestamp, slice_.c.id)
        .where(fits)
        .order_by(slice_.c.number.desc())
        .limit(1)
    )


def rows(query: Export, place: Place, end: Place) -> Statement:
    """The rows of a slice that pass the filters."""
    return stored().where(*query.filters, *place.after, *end.until).order_by(*_ORDER)


async def chunks(query: Export, format: Format, snapshots: Snapshots) -> AsyncIterator[bytes]:
    """The export, as it is sent."""
    yield format.begin()
    place: Place | None = Place(query.start)
    if query.cursor and query.cursor.timestamp >= query.start:
        place = Place(query.cursor.timestamp, query.cursor.id)
    while place is not None:
        async with snapshots() as snapshot:
            last = await snapshot.rows(edge(query, place))
            end = Place(last[0].timestamp, last[0].id) if last else None
            found = await snapshot.rows(rows(query, place, end)) if end else []
        place = end
        if found:
            yield await asyncio.to_thread(
                lambda found=found: format.batch([shown(row) for row in found])
            )  # type: ignore[misc]
    yield format.end()


async def answer(query: Export, snapshot: Snapshot) -> Stream:
    """All events in the range that pass the filters, as a file."""
    format = FORMATS[query.format](query.cursor is not None)
    return Stream(
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
