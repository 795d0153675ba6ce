"""Breakdown: a table of groups, by up to three fields, with up to ten measures of each."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, ClassVar

import msgspec
from sqlalchemy import Numeric, cast, func, null, select, union_all

from analytics.errors import BadRequest
from analytics.queries.database import texts
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.database.texts import bounded
from analytics.queries.language.fields import Field, Several
from analytics.queries.language.measures import COUNT, Measure, Number, Statement, number
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.precomputed.summaries import NumberSpec
from analytics.queries.question import Question

Row = list[str | Number]
"""The values of a group, then its measures."""

MAX_FIELDS = 3
MAX_MEASURES = 10


class Fields(msgspec.Struct, frozen=True):
    """One to three fields by comma; a `,` inside a key is written `%2C`."""

    examples: ClassVar = ("event_type", "event_type,metadata.plan")

    text: str
    fields: tuple[Field, ...]

    @classmethod
    def read(cls, text: str) -> "Fields":
        """Raises ValueError for too many fields, or for one that is not valid."""
        parts = text.split(",")
        if len(parts) > MAX_FIELDS:
            raise ValueError(f"there are at most {MAX_FIELDS} fields")
        return cls(text, tuple(map(Field.read, parts)))


class Measures(msgspec.Struct, frozen=True):
    """One to ten measures by comma; a `,` inside a key is written `%2C`."""

    examples: ClassVar = ("count", "users,sum:metadata.amount")

    text: str
    measures: tuple[Measure, ...]

    @classmethod
    def read(cls, text: str) -> "Measures":
        """Raises ValueError for too many measures, or for one that is not valid."""
        parts = text.split(",")
        if len(parts) > MAX_MEASURES:
            raise ValueError(f"there are at most {MAX_MEASURES} measures")
        return cls(text, tuple(map(Measure.read, parts)))


class Sort(msgspec.Struct, frozen=True):
    """A column as written in `by` or `measure`: ascending, or descending after a `-`."""

    examples: ClassVar = ("-count",)

    text: str
    column: str
    descending: bool

    @classmethod
    def read(cls, text: str) -> "Sort":
        return cls(text, text.removeprefix("-"), text.startswith("-"))


class Breakdown(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/breakdown`."""

    by: Fields
    measure: Measures = Measures("count", (COUNT,))
    limit: Limit = 10
    sort: Sort

    @classmethod
    def complete(cls, values: dict[str, Any], now: datetime, project: str) -> None:
        super().complete(values, now, project)
        measures = values.get("measure", Measures("count", (COUNT,))).measures
        first = measures[0].text
        sort = values.setdefault("sort", Sort(f"-{first}", first, descending=True))
        columns = [column.text for column in (*getattr(values.get("by"), "fields", ()), *measures)]
        if "by" in values and sort.column not in columns:
            raise BadRequest(
                f"sort: it must be one of the columns {', '.join(columns)}",
                code="bad_parameter",
                field="sort",
            )

    @property
    def columns(self) -> list[str]:
        """The fields, then the measures."""
        return [
            *(field.text for field in self.by.fields),
            *(measure.text for measure in self.measure.measures),
        ]


class Table(msgspec.Struct, frozen=True):
    """The answer of `/api/breakdown`: a row a group, its values and measures as in `columns`."""

    columns: list[str]
    rows: list[Row]
    total_rows: int


def table(query: Breakdown) -> Statement:
    """The groups to show: `key0` …, `value0` … and `total`, the number of all groups."""
    fields, measures = len(query.by.fields), query.measure.measures
    group = _groups(query).subquery("groups")
    keys, values = list(group.c)[:fields], list(group.c)[fields:]
    at = query.columns.index(query.sort.column)
    sorted_by = keys[at].collate("C") if at < fields else values[at - fields]
    direction = sorted_by.desc() if query.sort.descending else sorted_by.asc()
    order = [direction.nulls_last(), *(key.collate("C").nulls_last() for key in keys)]
    shown = (
        select(*keys, *values[: len(measures)], func.count().over().label("total"))
        .order_by(*order)
        .limit(query.limit)
    )
    return bounded(shown, query.by.fields, *(key.name for key in keys))


def _groups(query: Breakdown) -> Statement:
    """All groups with all measures, from raw rows.

    Distinct users need a pass of their own, and so do sessions; all other measures share one. Such
    a pass drops duplicates by hashing before it counts: `count(DISTINCT …)` would sort all rows.
    """
    measures = list(enumerate(query.measure.measures))
    units = dict.fromkeys([None, *(measure.kind.unit for _, measure in measures)])
    passes = ([each for each in measures if each[1].kind.unit == unit] for unit in units)
    parts = [_pass(query, some) for some in passes if some]
    if len(parts) == 1:
        return parts[0]
    part = union_all(*parts).subquery("parts")
    fields = len(query.by.fields)
    keys, values = list(part.c)[:fields], list(part.c)[fields:]
    # Each measure is null in all passes but its own, so the maximum is its value.
    return select(*keys, *(func.max(value).label(value.name) for value in values)).group_by(*keys)


def _pass(query: Breakdown, measures: Sequence[tuple[int, Measure]]) -> Statement:
    """All groups with some of the measures, and null for the others.

    Those that count units count the same ones.
    """
    keys = [field.value.label(f"key{at}") for at, field in enumerate(query.by.fields)]
    (first, measure), *others = measures
    unit = measure.kind.unit
    operands = [] if unit else [other.operand.label(f"operand{at}") for at, other in others]
    statement = measure.rows(query.rows(), *keys, *operands, name=f"operand{first}")
    row = (statement.distinct() if unit else statement).subquery("rows")
    values = {
        at: measure.kind.aggregate(row.c[f"operand{first if unit else at}"])
        for at, measure in measures
    }
    columns = [
        values.get(at, cast(null(), Numeric)).label(f"value{at}")
        for at in range(len(query.measure.measures))
    ]
    grouped = [row.c[key.name] for key in keys]
    return select(*grouped, *columns).group_by(*grouped)


async def answer(query: Breakdown, snapshot: Snapshot) -> Table:
    """A table of groups with their measures, in order, and the number of all groups."""
    precomputed = await _precomputed(query, snapshot)
    snapshot.sources.add("raw" if precomputed is None else "rollup")
    fields = len(query.by.fields)
    shown: Sequence[Sequence[Any]]
    if precomputed is not None:
        shown, total_rows = precomputed[: query.limit], len(precomputed)
    else:
        shown = found = await snapshot.rows(table(query))
        total_rows = found[0].total if found else 0
    texts.check(text for values in shown for text in values[:fields])
    rows = [_row(values[: len(query.columns)], fields) for values in shown]
    return Table(query.columns, rows, total_rows)


def _row(values: Sequence[Any], fields: int) -> Row:
    """A row of the answer: its fields as they are, its measures as JSON numbers."""
    return [*values[:fields], *map(number, values[fields:])]


async def _precomputed(query: Breakdown, snapshot: Snapshot) -> list[list[Any]] | None:
    """All rows in order, from rollups and cached counts; None where these cannot answer.

    They cannot count sessions.
    """
    fields, measures = query.by.fields, query.measure.measures
    names = {measure.name for measure in measures}
    if "sessions" in names:
        return None
    by = fields[0] if len(fields) == 1 else Several(fields)
    rollup, edges = Rollup(snapshot), [query.start, query.end]
    groups: dict[NumberSpec | None, Mapping[str | None, Any]] = {}
    for spec in dict.fromkeys(map(NumberSpec.of, measures)):
        buckets = await (
            rollup.summaries(query, edges, by, spec)
            if spec
            else rollup.buckets(query, edges, by, people="users" in names)
        )
        if buckets is None:
            return None
        groups[spec] = buckets[0]
    return await asyncio.to_thread(_rows, query, groups)


def _rows(
    query: Breakdown, groups: Mapping[NumberSpec | None, Mapping[str | None, Any]]
) -> list[list[Any]]:
    """The rows in order: by the column asked for, then by the fields, as sorting is stable.

    Every measure has the same groups, because all are of one snapshot.
    """
    fields = len(query.by.fields)
    split = Several.split if fields > 1 else lambda key: [key]
    measures = [(measure, groups[NumberSpec.of(measure)]) for measure in query.measure.measures]
    rows = [
        [*split(key), *(_measured(measure, addends[key]) for measure, addends in measures)]
        for key in measures[0][1]
    ]
    rows.sort(key=lambda row: [(value is None, value or "") for value in row[:fields]])
    at = query.columns.index(query.sort.column)
    known = [row for row in rows if row[at] is not None]
    known.sort(key=itemgetter(at), reverse=query.sort.descending)
    return [*known, *(row for row in rows if row[at] is None)]


def _measured(measure: Measure, addend: Any) -> Any:
    """A measure of a Sum (counts and people) or of a Summary of numbers."""
    match measure.name:
        case "count":
            return addend.count
        case "users":
            return len(addend.people)
        case name:
            return addend.measure(name)


QUESTION = Question("/breakdown", Breakdown, answer)
