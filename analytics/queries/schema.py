"""Schema: which event types, actions and metadata keys were seen in the range, the most frequent first."""

from typing import Any

from sqlalchemy import ColumnElement, func, select

from analytics.queries.answer import Question
from analytics.queries.asked import Ranged
from analytics.queries.measures import Statement
from analytics.queries.read import Read
from analytics.tables import raw_events

MOST = 1000
"""Of each kind."""


def seen(asked: Ranged, **columns: ColumnElement[str]) -> Statement:
    """Distinct values of the columns, with their number of rows as `count`."""
    labelled = [column.label(name) for name, column in columns.items()]
    rows = select(*labelled).where(*asked.rows()).subquery("rows")
    count = func.count().label("count")
    return select(*rows.c, count).group_by(*rows.c).order_by(count.desc(), *(column.collate("C") for column in rows.c)).limit(MOST)


async def answer(asked: Ranged, read: Read) -> dict[str, list[dict[str, Any]]]:
    """Three lists of objects, each with `count`."""
    type_, action = raw_events.c.event_type, raw_events.c.event_action
    statements = {
        "event_types": seen(asked, event_type=type_),
        "event_actions": seen(asked, event_type=type_, event_action=action),
        "metadata_keys": seen(asked, key=func.jsonb_object_keys(raw_events.c.metadata)),
    }
    return {name: [dict(row._mapping) for row in await read.rows(statement)] for name, statement in statements.items()}


QUESTION = Question("/schema", Ranged, answer)
