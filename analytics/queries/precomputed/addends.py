"""Addends: the statements that read rollups, and raw rows for what they do not cover."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    any_,
    case,
    distinct,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, array

from analytics.derived.cells import ANY
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN
from analytics.queries.language.fields import By
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import figures
from analytics.queries.precomputed.figures import Of
from analytics.queries.precomputed.pieces import Unit
from analytics.queries.precomputed.plan import Plan
from analytics.tables import (
    Instant,
    people,
    raw_events,
    rollup_deltas,
    rollup_since,
    rollup_strays,
    rollups,
)

_ANY_EVENT = and_(rollups.c.key == "", rollups.c.event_type == "", rollups.c.event_action == "")
"""A part always has the row of all events; by it parts are known."""


def coverage(project: str) -> Statement:
    """Where a project's rollups are complete, and how much waits in deltas."""
    since = (
        select(rollup_since.c.start)
        .where(rollup_since.c.project.in_([project, ""]))
        .order_by(rollup_since.c.project.desc())
        .limit(1)
    )
    strays = select(rollup_strays.c.start).where(rollup_strays.c.project == project).distinct()
    waiting = select(func.coalesce(func.sum(rollup_deltas.c.events), 0)).where(
        rollup_deltas.c.project == project
    )
    days = and_(rollups.c.project == project, rollups.c.span == DAY_SPAN, _ANY_EVENT)
    return select(
        since.scalar_subquery().label("since"),
        func.array(strays.scalar_subquery()).label("strays"),
        waiting.scalar_subquery().label("waiting"),
        select(func.min(rollups.c.start)).where(days).scalar_subquery().label("first"),
        select(func.max(rollups.c.start)).where(days).scalar_subquery().label("last"),
    )


def earliest(project: str, before: datetime) -> Statement:
    """When the first raw row happened, if it was before an instant."""
    timestamp = raw_events.c.timestamp
    return select(func.min(timestamp).label("earliest")).where(
        raw_events.c.project == project, timestamp < before
    )


def anything(project: str, start: datetime, end: datetime) -> Statement:
    """A row if anything at all happened between two instants."""
    timestamp = raw_events.c.timestamp
    return (
        select(literal(1))
        .where(raw_events.c.project == project, timestamp >= start, timestamp < end)
        .limit(1)
    )


def waiting(project: str) -> Statement:
    """The deltas of a project."""
    return select(rollup_deltas.c.data).where(rollup_deltas.c.project == project)


def parts(project: str, units: Sequence[Unit]) -> Statement:
    """By span, in two arrays and in their order: each start and part that there is."""
    table = rollups.c
    order = (table.start, table.part)
    columns = (table.span, *(func.array_agg(aggregate_order_by(each, *order)) for each in order))
    return (
        select(*columns)
        .where(table.project == project, _places(units), _ANY_EVENT)
        .group_by(table.span)
    )


def rows(project: str, units: Sequence[Unit], plan: Plan, with_people: bool) -> Statement:
    """The rows of units; for a dimension those without one too, whose counts tell whether it is
    complete.
    """
    table = rollups.c
    people_ = case((table.key == plan.key, table.people)) if with_people else null()
    columns = (
        table.span,
        table.start,
        table.key,
        table.event_type,
        table.event_action,
        table.counts,
        people_.label("people"),
    )
    keys = table.key == any_(array([plan.key, ANY] if plan.key else [ANY], type_=Text))
    return select(*columns).where(table.project == project, _places(units), keys, plan.condition)


def _places(units: Sequence[Unit]) -> Condition:
    starts = {
        span: [start for unit in units if unit.span == span for start in unit.starts]
        for span in (HOUR_SPAN, DAY_SPAN)
    }
    table = rollups.c
    return or_(
        *(
            and_(table.span == span, table.start == any_(literal(some, ARRAY(table.start.type))))
            for span, some in starts.items()
            if some
        )
    )


def raw(
    query: FilteredQuery,
    edges: Sequence[datetime],
    pieces: Sequence[tuple[datetime, datetime]],
    by: By | None,
    with_people: bool,
) -> Statement:
    """`bucket` (from 1), group, count, and who: numbers and, of those who have none, names, of the
    rows in pieces.
    """
    rows, source = _inside(query, pieces, by, ACTOR.label("actor"))
    who: list[ColumnElement[Any]] = [null(), null()]
    if with_people:
        source = source.outerjoin(
            people, and_(people.c.project == query.project, people.c.actor == rows.c.actor)
        )
        unknown = people.c.number.is_(None)
        who = [
            func.array_agg(distinct(people.c.number)).filter(~unknown),
            func.array_agg(distinct(rows.c.actor)).filter(unknown),
        ]
    columns = (
        _bucket(rows, edges),
        rows.c.key,
        func.count().label("count"),
        who[0].label("numbers"),
        who[1].label("strangers"),
    )
    return select(*columns).select_from(source).group_by(literal_column("1"), literal_column("2"))


def raw_numbers(
    query: FilteredQuery,
    edges: Sequence[datetime],
    pieces: Sequence[tuple[datetime, datetime]],
    by: By | None,
    of: Of,
) -> Statement:
    """`bucket` (from 1), group and figures of the rows in pieces."""
    rows, source = _inside(query, pieces, by, of.field.number.label("number"))
    return figures.aggregated(
        select(_bucket(rows, edges), rows.c.key, rows.c.number)
        .select_from(source)
        .subquery("numbers"),
        "bucket",
        of,
    )


def _bucket(rows: FromClause, edges: Sequence[datetime]) -> ColumnElement[int]:
    return func.width_bucket(rows.c.timestamp, literal(list(edges), ARRAY(Instant))).label("bucket")


def _inside(
    query: FilteredQuery,
    pieces: Sequence[tuple[datetime, datetime]],
    by: By | None,
    column: ColumnElement[Any],
) -> tuple[FromClause, FromClause]:
    """The rows in pieces (`timestamp`, `key` and a column), and where they are read from.

    Each piece is looked up by itself (the offset keeps the planner from merging it): joined at
    once, all rows of the range would be read.
    """
    starts, ends = (literal(list(side), ARRAY(Instant)) for side in zip(*pieces, strict=True))
    piece = func.unnest(starts, ends).table_valued("start", "end").render_derived("pieces")
    timestamp = raw_events.c.timestamp
    key: ColumnElement[Any] = (by.value if by else null()).label("key")
    inside = select(timestamp, key, column).where(
        *query.filters, timestamp >= piece.c.start, timestamp < piece.c.end
    )
    rows = inside.offset(0).lateral("rows")
    return rows, piece.join(rows, true())
