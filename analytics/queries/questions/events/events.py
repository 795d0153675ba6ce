"""Events: the rows themselves, newest first, page by page; and what became of one event."""

import base64
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import Row, Text, any_, cast, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.events import Event, event_id, public
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import FilteredQuery, Limit, Query
from analytics.queries.question import Question
from analytics.queries.questions.events.walk import walk
from analytics.tables import Instant, dead_letters, raw_events

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = struct.Struct(">q16s")


class Cursor(msgspec.Struct, frozen=True):
    """The `next` of the page before.

    A place between two rows: after (older than) this timestamp and id. Its text is opaque to
    clients.
    """

    text: str
    timestamp: datetime
    id: UUID

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises ValueError for what `after` did not make."""
        try:
            since, id_ = _PLACE.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
            return cls(text, _EPOCH + timedelta(microseconds=since), UUID(bytes=id_))
        except (ValueError, OverflowError, struct.error) as error:
            raise ValueError(
                "it is not a valid cursor; take it from `next` of the page before"
            ) from error

    @classmethod
    def after(cls, row: Row[Any]) -> "Cursor":
        """The place after this row."""
        place = _PLACE.pack((row.timestamp - _EPOCH) // timedelta(microseconds=1), row.id.bytes)
        return cls(base64.urlsafe_b64encode(place).decode(), row.timestamp, row.id)


class Events(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/events`."""

    limit: Limit = 50
    cursor: Cursor | None = None


class Page(TypedDict):
    """A page of events, and the cursor of the next page if there is one."""

    rows: list[dict[str, Any]]
    next: str | None


def page(
    query: Events,
    between: tuple[datetime, datetime],
    limit: int,
    instants: Sequence[datetime] | None = None,
) -> Statement:
    """The newest rows between two instants and after the cursor, newest first; if any are given,
    only those of some instants.
    """
    place = (raw_events.c.timestamp, raw_events.c.id)
    statement = (
        stored()
        .where(*query.rows(*between))
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    if instants is not None:
        statement = statement.where(place[0] == any_(literal(list(instants), ARRAY(Instant))))
    if query.cursor is None:
        return statement
    return statement.where(tuple_(*place) < tuple_(query.cursor.timestamp, query.cursor.id))


def stored() -> Statement:
    """All stored events, with metadata as text."""
    return select(
        *(
            cast(column, Text).label(column.name) if column is raw_events.c.metadata else column
            for column in raw_events.c
        )
    )


def shown(row: Row[Any]) -> Event:
    """The event of a row of `stored`."""
    return Event(**{**row._mapping, "metadata": row.metadata.encode()})


async def answer(query: Events, snapshot: Snapshot) -> Page:
    """Events in the range, newest first: a page, and the cursor of the next.

    Filters may leave so little that it has to be looked for.
    """
    if query.event.everything and not query.where:
        return await answer_at_once(query, snapshot)
    cursor = query.cursor
    end = (
        cursor.timestamp + timedelta(microseconds=1)
        if cursor and cursor.timestamp < query.end
        else query.end
    )
    return _paged(query, await walk(query, end, query.limit + 1, partial(page, query), snapshot))


async def answer_at_once(query: Events, snapshot: Snapshot) -> Page:
    """The same in one statement, whatever the filters are."""
    return _paged(
        query, await snapshot.rows(page(query, (query.start, query.end), query.limit + 1))
    )


def _paged(query: Events, rows: Sequence[Row[Any]]) -> Page:
    here = rows[: query.limit]
    return {
        "rows": [public(shown(row)) for row in here],
        "next": Cursor.after(here[-1]).text if len(rows) > len(here) else None,
    }


class Whereabouts(TypedDict):
    """Where an event is: with the event itself if it is stored, or why it could not be stored."""

    status: Literal["stored", "queued", "dead_lettered", "unknown"]
    event: NotRequired[dict[str, Any]]
    reason: NotRequired[str]
    message: NotRequired[str]
    at: NotRequired[datetime]


class OneEvent(Query, frozen=True, kw_only=True):
    """The parameters of `/api/events/{id}`: a UUID, or the text that the client sent as id."""

    id: Annotated[str, Meta(max_length=255, description="The id as it was sent, a UUID or not")]


async def answer_one(query: OneEvent, snapshot: Snapshot) -> Whereabouts:
    """Where one event is: stored, queued, dead-lettered or unknown.

    The queue is asked first, because events leave it only for the database.
    """
    id_ = event_id(query.id)
    queued = await snapshot.queued(query.project, id_)
    found = await snapshot.rows(
        stored()
        .where(*query.filters, raw_events.c.id == id_)
        .order_by(raw_events.c.timestamp.desc())
        .limit(1)
    )
    if found:
        return {"status": "stored", "event": public(shown(found[0]))}
    if queued is not None:
        return {"status": "queued", "event": public(queued)}
    mine = (dead_letters.c.project == query.project, dead_letters.c.event_id == id_)
    dead = await snapshot.rows(
        select(dead_letters).where(*mine).order_by(dead_letters.c.number.desc()).limit(1)
    )
    if dead:
        return {
            "status": "dead_lettered",
            "reason": dead[0].reason,
            "message": dead[0].message,
            "at": dead[0].created_at,
        }
    return {"status": "unknown"}


QUESTION = Question("/events", Events, answer, cacheable=False)
ONE = Question("/events/{id:path}", OneEvent, answer_one, cacheable=False)
