"""The SQL that reads rollups, and raw rows where rollups do not cover a bucket."""

from collections.abc import Collection, Sequence
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
from analytics.derived.sparse import CONTENTS
from analytics.queries.database.texts import bounded, is_cut
from analytics.queries.language.fields import By
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import summaries
from analytics.queries.precomputed.pieces import Block
from analytics.queries.precomputed.plan import Plan
from analytics.queries.precomputed.summaries import NumberSpec
from analytics.tables import (
    Instant,
    people,
    raw_events,
    rollup_deltas,
    rollup_since,
    rollup_strays,
    rollups,
)

MAX_GROUPS = 100_000
"""Groups of raw rows that one query adds up here. Of more, PostgreSQL sends only the largest."""

MAX_ROWS = 200_000
"""Rows of `rollups` that one query reads. With more, raw rows answer."""

Range = tuple[datetime, datetime]

_OVER_ALL_NAMES = and_(rollups.c.event_type == "", rollups.c.event_action == "")
_ANY_EVENT = and_(rollups.c.key == "", _OVER_ALL_NAMES)
"""The row of all events. Every part has one, so it is enough to list the parts."""


_CELL_COLUMNS = (
    rollups.c.span,
    rollups.c.start,
    rollups.c.part,
    rollups.c.key,
    rollups.c.event_type,
    rollups.c.event_action,
    rollups.c.counts,
)


def coverage(project: str) -> Statement:
    """Where a project's rollups are complete, and how many events wait in deltas: one row.

    `since`, `strays`, `nameless`, `waiting`, `first` and `last`, as Coverage describes them; hours
    since 1970.
    """
    since = (
        select(rollup_since.c.start)
        .where(rollup_since.c.project.in_([project, ""]))
        .order_by(rollup_since.c.project.desc())
        .limit(1)
    )
    marked = select(rollup_strays.c.start).where(rollup_strays.c.project == project).distinct()
    strays, nameless = (
        marked.where(rollup_strays.c.writer != 0),
        marked.where(rollup_strays.c.writer == 0),
    )
    waiting = select(func.coalesce(func.sum(rollup_deltas.c.events), 0)).where(
        rollup_deltas.c.project == project
    )
    days = and_(rollups.c.project == project, rollups.c.span == DAY_SPAN, _ANY_EVENT)
    return select(
        since.scalar_subquery().label("since"),
        func.array(strays.scalar_subquery()).label("strays"),
        func.array(nameless.scalar_subquery()).label("nameless"),
        waiting.scalar_subquery().label("waiting"),
        select(func.min(rollups.c.start)).where(days).scalar_subquery().label("first"),
        select(func.max(rollups.c.start)).where(days).scalar_subquery().label("last"),
    )


def earliest(project: str, before: datetime) -> Statement:
    """The `earliest` timestamp of raw rows before an instant; null if there are none."""
    timestamp = raw_events.c.timestamp
    return select(func.min(timestamp).label("earliest")).where(
        raw_events.c.project == project, timestamp < before
    )


def any_row(project: str, start: datetime, end: datetime) -> Statement:
    """One row if the project has any event between two instants, else none."""
    timestamp = raw_events.c.timestamp
    return (
        select(literal(1))
        .where(raw_events.c.project == project, timestamp >= start, timestamp < end)
        .limit(1)
    )


def pending_deltas(project: str) -> Statement:
    """The `data` of a project's deltas."""
    return select(rollup_deltas.c.data).where(rollup_deltas.c.project == project)


def parts(project: str, blocks: Sequence[Block]) -> Statement:
    """The parts of each hour and day in some blocks.

    One row a span: the starts and the numbers of their parts, in two arrays of the same order.
    """
    table = rollups.c
    order = (table.start, table.part)
    columns = (table.span, *(func.array_agg(aggregate_order_by(each, *order)) for each in order))
    return (
        select(*columns)
        .where(table.project == project, _is_in(blocks), _ANY_EVENT)
        .group_by(table.span)
    )


def rollup_rows(project: str, blocks: Sequence[Block], plan: Plan, with_people: bool) -> Statement:
    """The rows of `rollups` in some blocks; at most MAX_ROWS + 1: with so many, some are missing.

    For a dimension also the rows without one: their counts tell whether the dimension is complete.
    """
    table = rollups.c
    people_ = case((table.key == plan.key, table.people)) if with_people else null()
    keys = table.key == any_(array([plan.key, ANY] if plan.key else [ANY], type_=Text))
    return (
        select(*_CELL_COLUMNS, people_.label("people"))
        .where(table.project == project, _is_in(blocks), keys, plan.condition)
        .limit(MAX_ROWS + 1)
    )


def stand_ins(
    project: str, blocks: Sequence[Block], plan: Plan, parts: Collection[int], with_people: bool
) -> Statement:
    """The rows without a dimension of sparse parts, in place of those of the dimension left out.

    And the contents of these parts. At most MAX_ROWS + 1 rows: with so many, some are missing.
    """
    table = rollups.c
    people_ = table.people if with_people else null().label("people")
    rows = or_(and_(table.key == ANY, plan.condition), and_(table.key == CONTENTS, _OVER_ALL_NAMES))
    return (
        select(*_CELL_COLUMNS, people_)
        .where(table.project == project, _is_in(blocks), table.part.in_(parts), rows)
        .limit(MAX_ROWS + 1)
    )


def _is_in(blocks: Sequence[Block]) -> Condition:
    starts = {
        span: [start for block in blocks if block.span == span for start in block.starts]
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


def raw_counts(
    query: FilteredQuery,
    edges: Sequence[datetime],
    ranges: Sequence[Range],
    by: By | None,
    with_people: bool,
) -> Statement:
    """`bucket` (from 1), `key`, `count` and people of the raw rows in some ranges.

    `numbers` are those of people who have one; `unnumbered` the ids of actors who have none yet.
    Both are null without people. At most MAX_GROUPS + 1 rows, bounded: `some_missing` tells.
    """
    rows, source = _inside(query, ranges, by, ACTOR.label("actor"))
    who: list[ColumnElement[Any]] = [null(), null()]
    if with_people:
        source = source.outerjoin(
            people, and_(people.c.project == query.project, people.c.actor == rows.c.actor)
        )
        unnumbered = people.c.number.is_(None)
        who = [
            func.array_agg(distinct(people.c.number)).filter(~unnumbered),
            func.array_agg(distinct(rows.c.actor)).filter(unnumbered),
        ]
    columns = (
        _bucket(rows, edges),
        rows.c.key,
        func.count().label("count"),
        who[0].label("numbers"),
        who[1].label("unnumbered"),
    )
    counted = (
        select(*columns)
        .select_from(source)
        .group_by(literal_column("1"), literal_column("2"))
        .limit(MAX_GROUPS + 1)
    )
    return bounded(counted, [by], "key")


def raw_summaries(
    query: FilteredQuery,
    edges: Sequence[datetime],
    ranges: Sequence[Range],
    by: By | None,
    numbers: NumberSpec,
) -> Statement:
    """`bucket` (from 1), `key` and a summary of numbers, of the raw rows in some ranges.

    At most MAX_GROUPS + 1 rows, bounded: `some_missing` tells.
    """
    rows, source = _inside(query, ranges, by, numbers.field.number.label("number"))
    bucketed = select(_bucket(rows, edges), rows.c.key, rows.c.number).select_from(source)
    summarized = summaries.summarized(bucketed.subquery("numbers"), "bucket", numbers)
    return bounded(summarized.limit(MAX_GROUPS + 1), [by], "key")


def some_missing(rows: Sequence[Any]) -> bool:
    """Whether groups of raw rows are missing: they were too many, or their values too long."""
    return len(rows) > MAX_GROUPS or is_cut(rows)


def _bucket(rows: FromClause, edges: Sequence[datetime]) -> ColumnElement[int]:
    return func.width_bucket(rows.c.timestamp, literal(list(edges), ARRAY(Instant))).label("bucket")


def _inside(
    query: FilteredQuery, ranges: Sequence[Range], by: By | None, column: ColumnElement[Any]
) -> tuple[FromClause, FromClause]:
    """The rows in some ranges (`timestamp`, `key` and one column), and the FROM that has them.

    A lateral subquery looks up each range by itself. The offset keeps the planner from merging it
    into the outer query, where one join would read all rows from the first range to the last.
    """
    starts, ends = (literal(list(side), ARRAY(Instant)) for side in zip(*ranges, strict=True))
    piece = func.unnest(starts, ends).table_valued("start", "end").render_derived("pieces")
    timestamp = raw_events.c.timestamp
    key: ColumnElement[Any] = (by.value if by else null()).label("key")
    inside = select(timestamp, key, column).where(
        *query.filters, timestamp >= piece.c.start, timestamp < piece.c.end
    )
    rows = inside.offset(0).lateral("rows")
    return rows, piece.join(rows, true())
