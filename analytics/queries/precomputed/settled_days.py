"""Settled: what raw rows say of days at which nothing is changing, in the shape of rollups, so that
it can be remembered as they are.

A day's rows are known by the parts of its rollups: who adds a row leaves a delta, which becomes a
new part, and who changes rows otherwise marks the day. So a filter or a field that no rollup has
costs a pass over raw rows once, and after that only those days that have changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace
from pyroaring import BitMap
from sqlalchemy import ColumnElement, LargeBinary, and_, func, literal, literal_column, null, select
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.derived.cells import ANY, MAX_VALUES
from analytics.derived.deltas import Delta
from analytics.derived.instants import DAY_SPAN, instant
from analytics.queries.database.memory import OVERHEAD_BYTES, Entry, Name
from analytics.queries.database.sums import Sum, numbers
from analytics.queries.language.fields import By
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import figures
from analytics.queries.precomputed.figures import Figure, Of
from analytics.queries.precomputed.pieces import Coverage, Unit
from analytics.tables import Instant, people, raw_events

HOURS = 7 * DAY_SPAN
"""Read by one statement at most, so that none takes too long and what was read of a long range is
kept.
"""


def without(coverage: Coverage, waiting: Iterable[Delta]) -> Coverage:
    """Coverage less the days about which there are deltas: what these add, parts do not show yet."""
    touched = {group.hour - group.hour % DAY_SPAN for delta in waiting for group in delta.groups}
    return replace(coverage, strays=coverage.strays | touched)


def runs(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Units in runs that have no gaps and are not too long."""
    run: list[Unit] = []
    for unit in sorted(units, key=lambda unit: unit.starts.start):
        if run and (_end(run[-1]) != unit.starts.start or _end(unit) - run[0].starts.start > HOURS):
            yield run
            run = []
        run.append(unit)
    if run:
        yield run


def _end(unit: Unit) -> int:
    return unit.starts.stop - 1 + unit.span


def counts(
    query: FilteredQuery, units: Sequence[Unit], by: By | None, with_people: bool
) -> Statement:
    """`unit` (from 1), group and count of a run, and who: their numbers, four bytes each, and
    whether anybody has none.
    """
    labels = ["unit", "key", *(["actor"] if with_people else [])]
    columns: list[ColumnElement[Any]] = [
        *([ACTOR.label("actor")] if with_people else []),
        func.count().label("n"),
    ]
    rows = _rows(query, units, by, *columns).group_by(*map(literal_column, labels)).subquery("rows")
    if not with_people:
        return select(
            rows.c.unit,
            rows.c.key,
            rows.c.n.label("count"),
            null().label("numbers"),
            literal_column("false").label("strangers"),
        )
    known = rows.outerjoin(
        people, and_(people.c.project == query.project, people.c.actor == rows.c.actor)
    )
    who = func.string_agg(func.int4send(people.c.number), literal(b"", LargeBinary)).label(
        "numbers"
    )
    count = func.sum(rows.c.n).label("count")
    strangers = func.bool_or(people.c.number.is_(None)).label("strangers")
    return (
        select(rows.c.unit, rows.c.key, count, who, strangers)
        .select_from(known)
        .group_by(rows.c.unit, rows.c.key)
    )


def numbers_of(query: FilteredQuery, units: Sequence[Unit], by: By | None, of: Of) -> Statement:
    """`unit` (from 1), group and figures of a run."""
    return figures.aggregated(
        _rows(query, units, by, of.field.number.label("number")).subquery("rows"), "unit", of
    )


def _rows(
    query: FilteredQuery, units: Sequence[Unit], by: By | None, *columns: ColumnElement[Any]
) -> Statement:
    """The rows of a run: `unit` (from 1), `key` and some columns."""
    edges = [instant(hour) for hour in (units[0].starts.start, *map(_end, units))]
    timestamp = raw_events.c.timestamp
    key: ColumnElement[Any] = (by.value if by else null()).label("key")
    unit = func.width_bucket(timestamp, literal(edges, ARRAY(Instant))).label("unit")
    return select(unit, key, *columns).where(
        *query.filters, timestamp >= edges[0], timestamp < edges[-1]
    )


def cells(units: Sequence[Unit], rows: Iterable[Any], with_people: bool) -> dict[Unit, Entry]:
    """The cells of each unit; none of one that has too many groups, or somebody without a number,
    for whom other ways are better.
    """
    found: list[dict[Name, Sum] | None] = [{} for _ in units]
    sizes = [OVERHEAD_BYTES for _ in units]
    for row in rows:
        at = row.unit - 1
        of = found[at]
        if of is None or row.strangers or len(of) == MAX_VALUES:
            found[at] = None
            continue
        of[ANY, ANY, row.key] = Sum(
            int(row.count), BitMap(numbers(row.numbers)) if with_people else ()
        )
        sizes[at] += OVERHEAD_BYTES + len(row.numbers or b"") // 2
    kept = (
        Entry(of, with_people or of is None, size) for of, size in zip(found, sizes, strict=True)
    )
    return dict(zip(units, kept, strict=True))


def cells_of_numbers(units: Sequence[Unit], rows: Iterable[Any], of: Of) -> dict[Unit, Entry]:
    """The cells of each unit; none of one that has too many groups or numbers."""
    found: list[dict[Name, Figure] | None] = [{} for _ in units]
    sizes = [OVERHEAD_BYTES for _ in units]
    for unit, key, *values in rows:
        of_unit, figure = found[unit - 1], figures.read(of, *values)
        if of_unit is None or figure is None or len(of_unit) == MAX_VALUES:
            found[unit - 1] = None
            continue
        of_unit[ANY, ANY, key] = figure
        sizes[unit - 1] += OVERHEAD_BYTES + figure.size
    kept = (
        Entry(of_unit, True, OVERHEAD_BYTES if of_unit is None else size)
        for of_unit, size in zip(found, sizes, strict=True)
    )
    return dict(zip(units, kept, strict=True))
