"""Users: people in the range, last seen first; one of them; and one person's timeline.

A page is found by walking back in time until it is full, so it costs as much as the page and not as
the range. The people on it are then described through the indexes on users and sessions.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import func, select

from analytics.derived.instants import EPOCH, MICROSECOND
from analytics.queries.database import identity
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR, members
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.question import Question
from analytics.queries.questions.actors import better_read, is_actor
from analytics.queries.questions.cursors import PersonCursor
from analytics.queries.questions.events import events
from analytics.tables import raw_events

STRIDE_ROWS = 5_000
"""Rows of the first step back in time. Each further step takes twice as many."""


Id = Annotated[
    str, Meta(max_length=255, description="A user_id, or the session_id of an unknown visitor")
]


class Users(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/users`."""

    limit: Limit = 50
    cursor: PersonCursor | None = None


class OneUser(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/users/{id}`."""

    id: Id


class Timeline(events.Events, frozen=True, kw_only=True):
    """The parameters of `/api/users/{id}/timeline`."""

    id: Id

    @property
    def filters(self) -> list[Condition]:
        return [*super().filters, is_actor([self.id])]


class LinkedTimeline(Timeline, frozen=True, kw_only=True):
    """The timeline of a person with several actors."""

    actors: tuple[str, ...]
    by_reading: bool

    @property
    def filters(self) -> list[Condition]:
        own = is_actor(self.actors, by_reading=self.by_reading)
        return [*super(Timeline, self).filters, own]


class User(msgspec.Struct, frozen=True):
    """One person, described by their events in the range that pass the filters.

    Without `user_id`, `id` is a session_id.
    """

    id: str
    user_id: str | None
    first_seen: datetime
    last_seen: datetime
    events: int
    sessions: int


class UserPage(msgspec.Struct, frozen=True):
    """A page of users, and the cursor of the next page if there is one."""

    rows: list[User]
    next: str | None = None


def stride_start(query: Users, before: datetime, rows: int) -> Statement:
    """The `timestamp` that many rows back from an instant, whether they pass the filters or not."""
    timestamp = raw_events.c.timestamp
    conditions = [
        raw_events.c.project == query.project,
        timestamp >= query.start,
        timestamp < before,
    ]
    return select(timestamp).where(*conditions).order_by(timestamp.desc()).offset(rows).limit(1)


def last_seen(query: Users, start: datetime, end: datetime) -> Statement:
    """Each `actor` seen between two instants, and when they were seen `last`."""
    actor = ACTOR.label("actor")
    return (
        select(actor, func.max(raw_events.c.timestamp).label("last"))
        .where(*query.rows(start, end))
        .group_by(actor)
    )


def seen_again(query: Users, start: datetime, actors: Condition) -> Statement:
    """Which of some actors were seen from an instant to the end of the range."""
    return select(ACTOR.label("actor")).where(*query.rows(start), actors).distinct()


def described(query: FilteredQuery, actors: Condition) -> Statement:
    """The fields of `User`, for each of some actors that was seen at all."""
    conditions = [*query.rows(), actors]
    row = members(
        "session", conditions, ACTOR.label("id"), raw_events.c.user_id, raw_events.c.timestamp
    ).subquery("rows")
    ends = [
        func.max(row.c.user_id).label("user_id"),
        func.min(row.c.timestamp).label("first"),
        func.max(row.c.timestamp).label("last"),
    ]
    part = (
        select(row.c.id, *ends, func.count().label("n"))
        .group_by(row.c.id, row.c.unit)
        .subquery("sessions")
    )
    whole = (
        func.max(part.c.user_id),
        func.min(part.c.first),
        func.max(part.c.last),
        func.sum(part.c.n),
        func.count(),
    )
    names = User.__struct_fields__[1:]
    return select(
        part.c.id, *(column.label(name) for column, name in zip(whole, names, strict=True))
    ).group_by(part.c.id)


async def answer(query: Users, snapshot: Snapshot) -> UserPage:
    """People in the range, last seen first: a page, and the cursor of the next."""
    people = await _walk(query, snapshot)
    here = people[: query.limit]
    users = await _users(query, snapshot, [id_ for _, id_ in here])
    return UserPage(users, PersonCursor.after(*here[-1]).text if len(people) > len(here) else None)


async def _walk(query: Users, snapshot: Snapshot) -> list[tuple[datetime, str]]:
    """When each person on the page was last seen, and their id; one more if there is a next page.

    Strides double, so it takes few statements however far back the page is.
    """
    cursor, limit = query.cursor, query.limit
    # People of one microsecond may be on both sides of a cursor, so it is read again.
    end = min(query.end, cursor.timestamp + MICROSECOND) if cursor else query.end
    upper, rows = end, STRIDE_ROWS
    known: set[str] = set()
    people: list[tuple[datetime, str]] = []
    while len(people) <= limit and upper > query.start:
        back = await snapshot.rows(stride_start(query, upper, rows))
        lower = back[0].timestamp if back else query.start
        fresh = {
            row.actor: row.last
            for row in await snapshot.rows(last_seen(query, lower, upper))
            if row.actor not in known
        }
        known.update(fresh)
        if fresh and end < query.end:
            # Whoever was seen after the cursor is on an earlier page.
            names = [*fresh, *await _actors_of(query, snapshot, fresh)]
            actors = await _condition(query, snapshot, names, end)
            for row in await snapshot.rows(seen_again(query, end, actors)):
                del fresh[row.actor]
        places = [
            (last, id_)
            for id_, last in fresh.items()
            if cursor is None or last < cursor.timestamp or id_ > cursor.id
        ]
        people += sorted(places, key=lambda place: (EPOCH - place[0], place[1]))
        upper, rows = lower, 2 * rows
    return people[: limit + 1]


async def _users(query: FilteredQuery, snapshot: Snapshot, ids: Sequence[str]) -> list[User]:
    """These people, in this order, without any that were not seen."""
    person_of = await _actors_of(query, snapshot, ids)
    linked = {person for actor, person in person_of.items() if actor != person}
    actors = await _condition(query, snapshot, [*ids, *person_of], query.start)
    rows = (row._mapping for row in await snapshot.rows(described(query, actors)))
    users = {
        row["id"]: User(
            **{
                **row,
                "events": int(row["events"]),
                "user_id": row["id"] if row["id"] in linked else row["user_id"],
            }
        )
        for row in rows
    }
    return [users[id_] for id_ in ids if id_ in users]


async def answer_one(query: OneUser, snapshot: Snapshot) -> UserPage:
    """One person, by any of their ids: one row, or none if they were not seen."""
    return UserPage(await _users(query, snapshot, [await _person(query, snapshot, query.id)]))


async def answer_timeline(query: Timeline, snapshot: Snapshot) -> events.EventPage:
    """A page of one person's events, newest first."""
    actors = await _actors_of(query, snapshot, [await _person(query, snapshot, query.id)])
    if actors:
        by_reading = await better_read(snapshot, query.project, actors, query.start, query.end)
        query = LinkedTimeline(
            **msgspec.structs.asdict(query), actors=tuple(actors), by_reading=by_reading
        )
    return await events.answer_at_once(query, snapshot)


async def _condition(
    query: FilteredQuery, snapshot: Snapshot, names: Collection[str], start: datetime
) -> Condition:
    """Whether a row from an instant to the end of the range is one of these actors'."""
    by_reading = await better_read(snapshot, query.project, names, start, query.end)
    return is_actor(names, by_reading=by_reading)


async def _person(query: FilteredQuery, snapshot: Snapshot, actor: str) -> str:
    """The person that an actor is; the actor itself if it is linked to nobody."""
    if not snapshot.links.version:
        return actor
    rows = await snapshot.rows(identity.person(query.project, actor))
    return rows[0].person if rows else actor


async def _actors_of(
    query: FilteredQuery, snapshot: Snapshot, persons: Collection[str]
) -> dict[str, str]:
    """The linked actors of some people, each with its person; empty if nobody is linked."""
    if not snapshot.links.version:
        return {}
    rows = await snapshot.rows(identity.names(query.project, persons))
    return {row.actor: row.person for row in rows}


QUESTION = Question("/users", Users, answer, cacheable=False)
TIMELINE = Question("/users/{id:path}/timeline", Timeline, answer_timeline, cacheable=False)
ONE = Question("/users/{id:path}", OneUser, answer_one, cacheable=False)
