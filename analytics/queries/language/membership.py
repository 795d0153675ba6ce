"""Units: whose rows belong together, those of a person or those of a session, as its sender tells
it or as silence ends it.
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
from analytics.events import UNTOLD
from analytics.queries.language.filters import Condition
from analytics.tables import raw_events

Statement = Select[*tuple[Any, ...]]
Unit = Literal["user", "session"]

SILENCE = timedelta(microseconds=SILENCE_US)

LONGER = 65
"""Characters that no session_id has: its column takes one less."""

ACTOR = func.coalesce(raw_events.c.user_id, raw_events.c.session_id).collate("C")
_SESSION = raw_events.c.session_id.collate("C")
_untold = raw_events.c.session_id.like(f"{UNTOLD}%")


def members(
    unit: Unit,
    conditions: Sequence[Condition],
    *columns: ColumnElement[Any],
    then: Sequence[Condition] = (),
    name: str = "unit",
    source: FromClause = raw_events,
) -> Statement:
    """Labelled columns, and the unit by a `name`, of rows of a `source` that has every raw row at
    most once.

    Sessions are made of all rows that meet the conditions; of them, those that meet some more
    `then` are shown.
    """
    if unit == "user":
        return select(*columns, ACTOR.label(name)).select_from(source).where(*conditions, *then)
    told = (
        select(*columns, _SESSION.label(name))
        .select_from(source)
        .where(*conditions, ~_untold, *then)
    )
    every = union_all(told, _made(conditions, columns, then, name, source)).subquery("members")
    return select(*every.c)


def _made(
    conditions: Sequence[Condition],
    columns: Sequence[ColumnElement[Any]],
    then: Sequence[Condition],
    name: str,
    source: FromClause,
) -> Statement:
    """The same of rows that tell no session: theirs is known by whose it is and when it began, so
    that the order of rows of one instant is nothing to it.

    The text that says so is longer than any session_id, and therefore none.
    """
    at = raw_events.c.timestamp
    before = func.lag(at).over(partition_by=ACTOR, order_by=at)
    heard = select(
        *columns,
        ACTOR.label("whose"),
        at.label("at"),
        before.label("before"),
        and_(true(), *then).label("shown"),
    )
    row = heard.select_from(source).where(*conditions, _untold).subquery("heard")
    begins = case((row.c.at - row.c.before <= literal(SILENCE, Interval), null()), else_=row.c.at)
    began = func.max(begins).over(partition_by=row.c.whose, order_by=row.c.at)
    begun = select(
        *(row.c[column.name] for column in columns), row.c.whose, row.c.shown, began.label("began")
    ).subquery("begun")
    session = func.rpad(cast(begun.c.began, Text), LONGER).concat(begun.c.whose)
    return select(*(begun.c[column.name] for column in columns), session.label(name)).where(
        begun.c.shown
    )
