"""Membership: which unit a row belongs to, its person or its session.

A session is named by its sender. Of rows without a session, it is derived: it ends after 30 minutes
of silence of the actor.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Interval,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)

from analytics.derived.instants import SILENCE_US
from analytics.events import DERIVED_SESSION_PREFIX
from analytics.queries.language.filters import Condition
from analytics.tables import raw_events

Statement = Select[*tuple[Any, ...]]
Unit = Literal["user", "session"]

SILENCE = timedelta(microseconds=SILENCE_US)

DERIVED_LENGTH = 65
"""Characters before the actor in the name of a derived session. No session_id is that long."""

ACTOR = func.coalesce(raw_events.c.user_id, raw_events.c.session_id).collate("C")
_SESSION = raw_events.c.session_id.collate("C")
_no_session = raw_events.c.session_id.like(f"{DERIVED_SESSION_PREFIX}%")


def members(
    unit: Unit,
    conditions: Sequence[Condition],
    *columns: ColumnElement[Any],
    then: Sequence[Condition] = (),
    name: str = "unit",
    source: FromClause = raw_events,
) -> Statement:
    """Rows of `source` that meet the conditions: labelled columns, and their unit as `name`.

    `source` must have every raw row at most once. Sessions are derived from all rows that meet
    `conditions`; of these, the result has the rows that also meet `then`.
    """
    if unit == "user":
        return select(*columns, ACTOR.label(name)).select_from(source).where(*conditions, *then)
    explicit = (
        select(*columns, _SESSION.label(name))
        .select_from(source)
        .where(*conditions, ~_no_session, *then)
    )
    derived = _derived(conditions, columns, then, name, source)
    return select(*union_all(explicit, derived).subquery("members").c)


def _derived(
    conditions: Sequence[Condition],
    columns: Sequence[ColumnElement[Any]],
    then: Sequence[Condition],
    name: str,
    source: FromClause,
) -> Statement:
    """The same of rows without a session; the name of theirs is when it began, and the actor.

    So the order of rows at the same instant does not matter. The name is longer than any
    session_id, so the two never clash.
    """
    names = [column.name for column in columns]
    at = raw_events.c.timestamp
    events = (
        select(
            *columns,
            ACTOR.label("actor"),
            at.label("at"),
            func.lag(at).over(partition_by=ACTOR, order_by=at).label("before"),
            and_(true(), *then).label("shown"),
        )
        .select_from(source)
        .where(*conditions, _no_session)
        .subquery("events")
    )
    event = events.c
    # the timestamp of each session's first event, NULL at all others: the last one so far holds
    first = case((event.at - event.before <= literal(SILENCE, Interval), null()), else_=event.at)
    start = func.max(first).over(partition_by=event.actor, order_by=event.at)
    own = [event[column] for column in names]
    starts = select(*own, event.actor, event.shown, start.label("start")).subquery("starts")
    session = func.rpad(cast(starts.c.start, Text), DERIVED_LENGTH).concat(starts.c.actor)
    own = [starts.c[column] for column in names]
    return select(*own, session.label(name)).where(starts.c.shown)
