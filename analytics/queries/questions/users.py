"""Users: who was there, last seen first; one of them; and all that one did.

A page is found by walking back in time until it is full, so that what it costs hangs on the page
and not on the range; what is said of those on it is then looked up in the indexes on users and
sessions.
"""

import base64
import struct
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Text, and_, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.queries.database import identity
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR, members
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.question import Question
from analytics.queries.questions.events import events
from analytics.tables import raw_events

STRIDE = 5_000
"""Rows that the first step back in time takes; each further step takes twice as many."""

TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = struct.Struct(">q")

Id = Annotated[
    str, Meta(max_length=255, description="A user_id, or the session_id of an unknown visitor")
]


class Cursor(msgspec.Struct, frozen=True):
    """The `next` of the page before."""

    text: str
    last_seen: datetime
    id: str

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises ValueError for what `after` did not make."""
        try:
            place = base64.b64decode(text, altchars=b"-_", validate=True)
            since, id_ = _INSTANT.unpack_from(place)[0], place[_INSTANT.size :].decode()
            if "\0" in id_:
                raise ValueError("no event contains a NUL character")
            return cls(text, _EPOCH + timedelta(microseconds=since), id_)
        except (ValueError, OverflowError, struct.error) as error:
            raise ValueError(
                "it is not a valid cursor; take it from `next` of the page before"
            ) from error

    @classmethod
    def after(cls, last_seen: datetime, id_: str) -> "Cursor":
        place = _INSTANT.pack((last_seen - _EPOCH) // TICK) + id_.encode()
        return cls(base64.urlsafe_b64encode(place).decode(), last_seen, id_)


class Users(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/users`."""

    limit: Limit = 50
    cursor: Cursor | None = None


class OneUser(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/users/{id}`."""

    id: Id


class Timeline(events.Events, frozen=True, kw_only=True):
    """The parameters of `/api/users/{id}/timeline`."""

    id: Id

    @property
    def filters(self) -> list[Condition]:
        return [*super().filters, _is_one_of([self.id])]


class Named(Timeline, frozen=True, kw_only=True):
    """A timeline of somebody who goes by several names."""

    names: tuple[str, ...]

    @property
    def filters(self) -> list[Condition]:
        return [*super(Timeline, self).filters, _is_one_of(self.names)]


class User(msgspec.Struct, frozen=True):
    """One person, described by their events in the range that pass the filters. Without `user_id`,
    `id` is a session_id.
    """

    id: str
    user_id: str | None
    first_seen: datetime
    last_seen: datetime
    events: int
    sessions: int


class Page(msgspec.Struct, frozen=True):
    """A page of users, and the cursor of the next page if there is one."""

    rows: list[User]
    next: str | None = None


def _is_one_of(ids: Collection[str]) -> Condition:
    """Whether the actor of a row is one of these, said so that the indexes on users and sessions
    can find it.
    """
    user, session, any_id = (
        raw_events.c.user_id,
        raw_events.c.session_id,
        any_(literal(list(ids), ARRAY(Text))),
    )
    return or_(user == any_id, and_(user.is_(None), session == any_id))


def stride(query: Users, before: datetime, rows: int) -> Statement:
    """The `timestamp` so many rows back from an instant, whatever these rows are."""
    timestamp = raw_events.c.timestamp
    conditions = [
        raw_events.c.project == query.project,
        timestamp >= query.start,
        timestamp < before,
    ]
    return select(timestamp).where(*conditions).order_by(timestamp.desc()).offset(rows).limit(1)


def seen(query: Users, start: datetime, end: datetime) -> Statement:
    """`actor` and `last` of those seen between two instants."""
    actor = ACTOR.label("actor")
    return (
        select(actor, func.max(raw_events.c.timestamp).label("last"))
        .where(*query.rows(start, end))
        .group_by(actor)
    )


def again(query: Users, start: datetime, ids: Collection[str]) -> Statement:
    """Which actors of these names were seen from an instant to the end of the range."""
    return select(ACTOR.label("actor")).where(*query.rows(start), _is_one_of(ids)).distinct()


def described(query: FilteredQuery, ids: Collection[str]) -> Statement:
    """`id`, `user_id`, `first_seen`, `last_seen`, `events`, `sessions` of each actor of these names
    that was seen at all.
    """
    conditions = [*query.rows(), _is_one_of(ids)]
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


async def answer(query: Users, snapshot: Snapshot) -> Page:
    """People with events in the range, last seen first: a page, and the cursor of the next."""
    found = await _walk(query, snapshot)
    shown = found[: query.limit]
    users = await _users(query, snapshot, [id_ for _, id_ in shown])
    return Page(users, Cursor.after(*shown[-1]).text if len(found) > len(shown) else None)


async def _walk(query: Users, snapshot: Snapshot) -> list[tuple[datetime, str]]:
    """Who is on the page, and one more if there is one: when each was last seen, and their id."""
    cursor, limit = query.cursor, query.limit
    end = min(query.end, cursor.last_seen + TICK) if cursor else query.end
    upper, rows = end, STRIDE
    known: set[str] = set()
    found: list[tuple[datetime, str]] = []
    while len(found) <= limit and upper > query.start:
        back = await snapshot.rows(stride(query, upper, rows))
        lower = back[0].timestamp if back else query.start
        fresh = {
            row.actor: row.last
            for row in await snapshot.rows(seen(query, lower, upper))
            if row.actor not in known
        }
        known.update(fresh)
        if fresh and end < query.end:
            for row in await snapshot.rows(
                again(query, end, [*fresh, *await _names(query, snapshot, fresh)])
            ):
                del fresh[row.actor]
        places = [
            (last, id_)
            for id_, last in fresh.items()
            if cursor is None or last < cursor.last_seen or id_ > cursor.id
        ]
        found += sorted(places, key=lambda place: (_EPOCH - place[0], place[1]))
        upper, rows = lower, 2 * rows
    return found[: limit + 1]


async def _users(query: FilteredQuery, snapshot: Snapshot, ids: Sequence[str]) -> list[User]:
    """These users, in this order, without any that were not seen."""
    names = await _names(query, snapshot, ids)
    known = set(names.values())
    rows = (row._mapping for row in await snapshot.rows(described(query, [*ids, *names])))
    users = {
        row["id"]: User(
            **{
                **row,
                "events": int(row["events"]),
                "user_id": row["id"] if row["id"] in known else row["user_id"],
            }
        )
        for row in rows
    }
    return [users[id_] for id_ in ids if id_ in users]


async def answer_one(query: OneUser, snapshot: Snapshot) -> Page:
    """One person, by any of their ids: one row, or none if they were not seen."""
    return Page(await _users(query, snapshot, [await _person(query, snapshot, query.id)]))


async def answer_timeline(query: Timeline, snapshot: Snapshot) -> events.Page:
    """A page of one person's events, newest first."""
    names = await _names(query, snapshot, [await _person(query, snapshot, query.id)])
    return await events.answer_at_once(
        Named(**msgspec.structs.asdict(query), names=tuple(names)) if names else query, snapshot
    )


async def _person(query: FilteredQuery, snapshot: Snapshot, name: str) -> str:
    """Whose name it is."""
    found = (
        await snapshot.rows(identity.person(query.project, name)) if snapshot.links.version else ()
    )
    return found[0].person if found else name


async def _names(
    query: FilteredQuery, snapshot: Snapshot, persons: Collection[str]
) -> dict[str, str]:
    """All names of those of whom something is said, and whose they are."""
    return (
        {
            row.actor: row.person
            for row in await snapshot.rows(identity.names(query.project, persons))
        }
        if snapshot.links.version
        else {}
    )


QUESTION = Question("/users", Users, answer, cacheable=False)
TIMELINE = Question("/users/{id:path}/timeline", Timeline, answer_timeline, cacheable=False)
ONE = Question("/users/{id:path}", OneUser, answer_one, cacheable=False)
