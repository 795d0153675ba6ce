"""Where the events are that carry one id: stored, queued, dead-lettered or unknown."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Row, any_, func, literal, or_, select, union
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUIDS

from analytics.events import OWN_ID, IdSearch, public
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import Query
from analytics.queries.question import Question
from analytics.queries.questions.events.events import event_of, stored
from analytics.tables import Instant, dead_letters, raw_events

MOST = 100
"""Events that one answer shows."""


class OneEvent(Query, frozen=True, kw_only=True):
    """The parameters of `/api/events/{id}`: a UUID, or the text that the client sent as id."""

    id: Annotated[
        str, Meta(max_length=255, description="The id as it is stored, or as it was sent")
    ]


class Whereabouts(TypedDict):
    """Where an event is: with the event itself, or why it could not be stored.

    `others` are the other events that carry the same id, if there are any.
    """

    status: Literal["stored", "queued", "dead_lettered", "unknown"]
    event: NotRequired[dict[str, Any]]
    id: NotRequired[UUID]
    reason: NotRequired[str]
    message: NotRequired[str]
    at: NotRequired[datetime]
    others: NotRequired[list["Whereabouts"]]


async def answer(query: OneEvent, snapshot: Snapshot) -> Whereabouts:
    """Where each event is that has this id, as it is stored or as its sender gave it.

    The queue is asked first, because events leave it only for the database.
    """
    search = IdSearch(query.project, query.id)
    queued = await snapshot.queued(search, MOST)
    rows = await _rows(query, search, snapshot)
    letters = await snapshot.rows(dead(search))
    places: list[Whereabouts] = [
        {"status": "stored", "event": public(event_of(row))} for row in rows
    ]
    found = {row.id for row in rows}
    for event in _new(queued, "id", found):
        places.append({"status": "queued", "event": public(event)})
    for letter in _new(letters, "event_id", found):
        places.append(
            {
                "status": "dead_lettered",
                "id": letter.event_id,
                "reason": letter.reason,
                "message": letter.message,
                "at": letter.created_at,
            }
        )
    if not places:
        return {"status": "unknown"}
    first, *others = places[:MOST]
    if others:
        first["others"] = others
    return first


def _new(things: Iterable[Any], name: str, found: set[UUID]) -> Iterator[Any]:
    """The things whose id is not found yet; each id once."""
    for thing in things:
        id_ = getattr(thing, name)
        if id_ not in found:
            found.add(id_)
            yield thing


async def _rows(query: OneEvent, search: IdSearch, snapshot: Snapshot) -> Sequence[Row[Any]]:
    """The rows that carry the id, newest first."""
    keys = await snapshot.rows(carriers(query, search))
    if not keys:
        return []
    ids = literal([key.id for key in keys], ARRAY(UUIDS))
    timestamps = literal([key.timestamp for key in keys], ARRAY(Instant))
    return await snapshot.rows(
        stored()
        .where(
            *query.filters,
            raw_events.c.id == any_(ids),
            raw_events.c.timestamp == any_(timestamps),
        )
        .order_by(raw_events.c.timestamp.desc(), raw_events.c.id.desc())
    )


def carriers(query: OneEvent, search: IdSearch) -> Statement:
    """Timestamp and id of the newest rows that carry the id.

    All of them are gathered by their indexes before any order: with order and limit in view the
    planner might walk the rows by time.
    """
    key = select(raw_events.c.timestamp, raw_events.c.id)
    by_id = key.where(*query.filters, raw_events.c.id == search.stored)
    by_own_id = [
        key.where(*query.filters, raw_events.c.metadata.contains({OWN_ID: own}))
        for own in search.owns
    ]
    found = union(by_id, *by_own_id).cte("found").prefix_with("MATERIALIZED")
    return (
        select(found.c.timestamp, found.c.id)
        .order_by(found.c.timestamp.desc(), found.c.id.desc())
        .limit(MOST)
    )


def dead(search: IdSearch) -> Statement:
    """The last dead letters that carry the id."""
    columns = ("event_id", "reason", "message", "created_at")
    places = (func.pg_catalog.position(dead_letters.c.payload, text) for text in search.texts)
    return (
        select(*(dead_letters.c[name] for name in columns))
        .where(
            dead_letters.c.project == search.project,
            or_(dead_letters.c.event_id == search.stored, *(place > 0 for place in places)),
        )
        .order_by(dead_letters.c.number.desc())
        .limit(MOST)
    )


ONE = Question("/events/{id:path}", OneEvent, answer, cacheable=False)
