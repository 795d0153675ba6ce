"""Paths: which value of a field follows which, from where a path begins or back from its end.

PostgreSQL puts the rows of each unit in order and numbers them from where its path begins; only
counted links leave the database. With `start` or `end`, the row where each unit's path begins is
found first, so that only rows on its right side of units that have one are sorted. Sorting is the
main cost.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
from msgspec import Meta
from sqlalchemy import ColumnElement, func, select

from analytics.derived.arrays import Array, runs
from analytics.errors import BadRequest
from analytics.queries.database import texts
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.database.texts import bounded
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import EventFilter
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import Unit, members
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.question import Question
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns
from analytics.queries.sequences.sequences import Sequences, by_person, by_session
from analytics.tables import raw_events

ACTION = Field.read("event_action")

NO_VALUE = -1
"""The number of a value that is null: such rows are in no path."""


class Paths(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/paths`."""

    by: Field = ACTION
    begins: EventFilter | None = msgspec.field(default=None, name="start")
    ends: EventFilter | None = msgspec.field(default=None, name="end")
    depth: Annotated[int, Meta(ge=1, le=100)] = 5
    limit: Limit = 10
    unit: Unit = "user"

    @classmethod
    def complete(cls, values: dict[str, Any], now: datetime, project: str) -> None:
        super().complete(values, now, project)
        if "begins" in values and "ends" in values:
            raise BadRequest(
                "start and end exclude each other", code="conflicting_parameters", field="end"
            )


Link = TypedDict("Link", {"step": int, "from": str, "to": str, "n": int})


class Links(TypedDict):
    """The answer of `/api/paths`: links, the most frequent first."""

    links: list[Link]


def links(query: Paths) -> Statement:
    """`step`, `source`, `target` and `n` of the largest links."""
    row = _rows(query).subquery("rows")
    order = _ordered(query, row.c.timestamp, row.c.id)
    step, far = (
        number.over(partition_by=row.c.unit, order_by=order)
        for number in (func.row_number(), func.lead(row.c.value))
    )
    link = select(step.label("step"), row.c.value.label("near"), far.label("far")).subquery("links")
    source, target = (link.c.far, link.c.near) if query.ends else (link.c.near, link.c.far)
    n = func.count().label("n")
    largest = (
        select(link.c.step, source.label("source"), target.label("target"), n)
        .where(link.c.step <= query.depth, link.c.far.is_not(None))
        .group_by(link.c.step, source, target)
        .order_by(n.desc(), link.c.step, source.collate("C"), target.collate("C"))
        .limit(query.limit)
    )
    return bounded(largest, [query.by], "source", "target")


def _rows(query: Paths) -> Statement:
    """`value`, `unit`, `timestamp` and `id` of all rows that can be in a path."""
    place = (raw_events.c.timestamp, raw_events.c.id)
    has_value = query.by.value.is_not(None)
    columns = (query.by.value.label("value"), *place)
    anchor = query.begins or query.ends
    if anchor is None:
        return members(query.unit, query.rows(), *columns, then=[has_value])
    matched = anchor.condition.label("matched")
    row = members(query.unit, query.rows(), *columns, matched, then=[has_value]).subquery("every")
    order = _ordered(query, row.c.timestamp, row.c.id)
    reached = func.bool_or(row.c.matched).over(
        partition_by=row.c.unit, order_by=order, rows=(None, 0)
    )
    there = select(*row.c, reached.label("reached")).subquery("there")
    return select(*(there.c[name] for name in ("value", "timestamp", "id", "unit"))).where(
        there.c.reached
    )


def _ordered(query: Paths, *place: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """The order in which paths are followed: forward, or backward from `end`."""
    return [column.desc() if query.ends else column.asc() for column in place]


async def answer(query: Paths, snapshot: Snapshot) -> Links:
    """Which value follows which: the most frequent links, over all steps."""
    columns = await packed_days.load(query, snapshot, query.by, sessions=query.unit == "session")
    if columns is not None:
        found = await columns.work(lambda: PathCounter(query, columns).largest())
    else:
        snapshot.sources.add("raw")
        found = [
            {"step": row.step, "from": row.source, "to": row.target, "n": row.n}
            for row in await snapshot.rows(links(query))
        ]
    texts.check(text for link in found for text in (link["from"], link["to"]))
    return {"links": found}


class PathCounter:
    """Counts links from packed days: for all units at once, step by step."""

    def __init__(self, query: Paths, columns: Columns) -> None:
        self._query = query
        self._columns = columns
        values = columns.values(query.by)
        # Ascending in code-point order, so that numbers compare as their texts do in PostgreSQL.
        self._values = sorted({value for value in values if value is not None})
        number_of: dict[str | None, int] = {value: at for at, value in enumerate(self._values)}
        self._value_of = np.array([number_of.get(value, NO_VALUE) for value in values], np.int64)
        anchor = query.begins or query.ends
        self._is_anchor = None if anchor is None else columns.matching(anchor)

    def largest(self) -> list[Link]:
        """The largest links over all steps."""
        query, columns = self._query, self._columns
        included, has_value = columns.matching(query.event), self._value_of != NO_VALUE

        def count(rows: Sequences) -> list[tuple[Array, Array]]:
            return list(self._links(rows.where(has_value[rows.code])))

        if query.unit == "session":
            # Rows without a value are in no path, but they hold a session together.
            chunks = by_session(columns, included, count)
        else:
            chunks = by_person(columns, included & has_value, count)
        links, counts = _added_up([counted for chunk in chunks for counted in chunk])
        if len(links) > query.limit:
            # All links up to the smallest count that is shown: only these need to be sorted.
            enough = counts >= np.partition(counts, -query.limit)[-query.limit]
            links, counts = links[enough], counts[enough]
        order = np.lexsort((links, -counts))[: query.limit]
        pairs = zip(links[order].tolist(), counts[order].tolist(), strict=True)
        return [self._link(link, n) for link, n in pairs]

    def _link(self, link: int, n: int) -> Link:
        pair, target = divmod(link, len(self._values))
        step, source = divmod(pair, len(self._values))
        return {"step": step, "from": self._values[source], "to": self._values[target], "n": n}

    def _links(self, rows: Sequences) -> Iterator[tuple[Array, Array]]:
        """The links of each step, and how many units took them.

        A link is one number, (step, source, target) in base len(values): links are then counted by
        sorting numbers, and in the order in which equal counts are shown.
        """
        value, base = self._value_of[rows.code], len(self._values)
        # Index -1 and one past the end are no unit, so that no path leaves the rows.
        unit = np.append(rows.unit, -1)
        place = self._path_starts(rows)
        for step in range(1, self._query.depth + 1):
            further = place - 1 if self._query.ends else place + 1
            going = unit[further] == unit[place]
            place, further = place[going], further[going]
            if not len(place):
                return
            source, target = (further, place) if self._query.ends else (place, further)
            link = (step * base + value[source]) * base + value[target]
            yield np.unique(link, return_counts=True)
            place = further

    def _path_starts(self, rows: Sequences) -> Array:
        """The row from which each unit's path is followed."""
        if self._is_anchor is None:
            return runs(rows.unit)
        places = np.flatnonzero(self._is_anchor[rows.code])
        if self._query.ends:
            places = places[::-1]
        return places[runs(rows.unit[places])]


def _added_up(several: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The distinct links in several results, ascending, each with the sum of its counts."""
    if not several:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    every, weights = (np.concatenate(columns) for columns in zip(*several, strict=True))
    links, places = np.unique(every, return_inverse=True)
    return links, np.bincount(places, weights).astype(np.int64)


QUESTION = Question("/paths", Paths, answer)
