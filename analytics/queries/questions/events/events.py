"""Events: the rows themselves, newest first, page by page."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import Any, TypedDict

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Text,
    any_,
    cast,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.events import Event, public
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.question import Question
from analytics.queries.questions.cursors import EventCursor
from analytics.queries.questions.events.cut import cut
from analytics.queries.questions.events.walk import walk
from analytics.tables import Instant, raw_events

PAGE_BYTES = 4 * 1024 * 1024
"""Metadata of one page: the page ends with the event that reaches this."""


class Events(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/events`."""

    limit: Limit = 50
    cursor: EventCursor | None = None


class EventPage(TypedDict):
    """A page of events, and the cursor of the next page if there is one."""

    rows: list[dict[str, Any]]
    next: str | None


def page(
    query: Events,
    between: tuple[datetime, datetime],
    limit: int,
    instants: Sequence[datetime] | None = None,
) -> Statement:
    """The newest rows between two instants and after the cursor, newest first, cut by PAGE_BYTES.

    With `instants`, only rows of exactly these.
    """
    place = (raw_events.c.timestamp, raw_events.c.id)
    rows = (
        select(*raw_events.c)
        .where(*query.rows(*between))
        .order_by(*newest_first(raw_events))
        .limit(limit)
    )
    if instants is not None:
        rows = rows.where(place[0] == any_(literal(list(instants), ARRAY(Instant))))
    if query.cursor is not None:
        rows = rows.where(tuple_(*place) < tuple_(query.cursor.timestamp, query.cursor.id))
    return cut(rows, newest_first, PAGE_BYTES)


def newest_first(table: FromClause) -> Sequence[ColumnElement[Any]]:
    """The order of lists, for a table or subquery with the columns of raw_events."""
    return table.c.timestamp.desc(), table.c.id.desc()


def stored() -> Statement:
    """All stored events, with metadata as text."""
    return select(
        *(
            cast(column, Text).label(column.name) if column is raw_events.c.metadata else column
            for column in raw_events.c
        )
    )


def event_of(row: Row[Any]) -> Event:
    """The event in a row of `stored` or `page`."""
    values = {name: row._mapping[name] for name in raw_events.c.keys()}  # noqa: SIM118 - no dict
    return Event(**{**values, "metadata": row.metadata.encode()})


async def answer(query: Events, snapshot: Snapshot) -> EventPage:
    """Events in the range, newest first: a page, and the cursor of the next.

    With filters, `walk` looks for the rows, because few may pass.
    """
    if query.event.everything and not query.where:
        return await answer_at_once(query, snapshot)
    end = query.end
    if query.cursor and query.cursor.timestamp < end:
        end = query.cursor.timestamp + timedelta(microseconds=1)
    statement, full = partial(page, query), partial(_is_full, query)
    rows = await walk(query, end, query.limit + 1, statement, full, snapshot)
    return _paged(query, rows)


async def answer_at_once(query: Events, snapshot: Snapshot) -> EventPage:
    """The same in one statement, whatever the filters are."""
    rows = await snapshot.rows(page(query, (query.start, query.end), query.limit + 1))
    return _paged(query, rows)


def _is_full(query: Events, rows: Sequence[Row[Any]]) -> bool:
    """Whether rows are a page and one row more."""
    return len(rows) > query.limit or sum(row.size for row in rows[:-1]) >= PAGE_BYTES


def _paged(query: Events, rows: Sequence[Row[Any]]) -> EventPage:
    """A page of rows, with at least one more if there is a next page."""
    bytes_before = [0, *accumulate(row.size for row in rows)]
    here = [
        row
        for row, before in zip(rows[: query.limit], bytes_before, strict=False)
        if before < PAGE_BYTES
    ]
    more = len(rows) > len(here)
    return {
        "rows": [public(event_of(row)) for row in here],
        "next": EventCursor.after(here[-1].timestamp, here[-1].id).text if more else None,
    }


QUESTION = Question("/events", Events, answer, cacheable=False)
