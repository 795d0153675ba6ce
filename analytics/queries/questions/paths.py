"""Paths: which value of a field follows which, step by step from where a unit's path begins, or
back from where it ends.

PostgreSQL puts the rows of each unit in order and numbers them from that row on; only links,
counted, leave it. Where `start` or `end` is given, it is looked for first: of the other rows, only
those of units that have it, on the right side of it, need to be sorted.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
from msgspec import Meta
from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on

from analytics.derived.arrays import Array, runs
from analytics.errors import BadRequest
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Events
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import Unit, members
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.question import Question
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns
from analytics.queries.sequences.sequences import Sequences, by_person, by_session
from analytics.tables import raw_events

ACTION = Field.read("event_action")

NOTHING = -1


class Paths(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/paths`."""

    by: Field = ACTION
    begins: Events | None = msgspec.field(default=None, name="start")
    ends: Events | None = msgspec.field(default=None, name="end")
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
    return (
        select(link.c.step, source.label("source"), target.label("target"), n)
        .where(link.c.step <= query.depth, link.c.far.is_not(None))
        .group_by(link.c.step, source, target)
        .order_by(n.desc(), link.c.step, source.collate("C"), target.collate("C"))
        .limit(query.limit)
    )


def _rows(query: Paths) -> Statement:
    """`value`, `unit`, `timestamp` and `id` of all rows that can be in a path."""
    place = (raw_events.c.timestamp, raw_events.c.id)
    there = query.by.value.is_not(None)
    rows = members(query.unit, query.rows(), query.by.value.label("value"), *place, then=[there])
    anchor = query.begins or query.ends
    if anchor is None:
        return rows
    row = rows.subquery("every")
    match = members(query.unit, query.rows(), *place, then=[there, anchor.condition]).subquery(
        "matches"
    )
    order = _ordered(query, match.c.timestamp, match.c.id)
    first = (
        select(*match.c)
        .order_by(match.c.unit, *order)
        .ext(distinct_on(match.c.unit))
        .subquery("first")
    )
    here, where = tuple_(row.c.timestamp, row.c.id), tuple_(first.c.timestamp, first.c.id)
    return (
        select(*row.c)
        .join(first, first.c.unit == row.c.unit)
        .where(here <= where if query.ends else here >= where)
    )


def _ordered(query: Paths, *place: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """In the direction in which paths are followed."""
    return [column.desc() if query.ends else column.asc() for column in place]


async def answer(query: Paths, snapshot: Snapshot) -> Links:
    """Which value follows which: the most frequent links, over all steps."""
    columns = await packed_days.load(query, snapshot, query.by, sessions=query.unit == "session")
    if columns is None:
        snapshot.sources.add("raw")
        return {
            "links": [
                {"step": row.step, "from": row.source, "to": row.target, "n": row.n}
                for row in await snapshot.rows(links(query))
            ]
        }
    return {"links": await columns.work(lambda: Trails(query, columns).largest())}


class Trails:
    """The links of all units, from packed days: counted for all units at once, step by step."""

    def __init__(self, query: Paths, columns: Columns) -> None:
        self._query = query
        self._columns = columns
        values = columns.values(query.by)
        self._values = sorted({value for value in values if value is not None})
        number: dict[str | None, int] = {
            None: NOTHING,
            **{value: at for at, value in enumerate(self._values)},
        }
        self._value = np.array([number[value] for value in values], np.int64)
        anchor = query.begins or query.ends
        self._anchor = None if anchor is None else columns.passing(anchor)

    def largest(self) -> list[Link]:
        """The largest links over all steps."""
        query, columns = self._query, self._columns
        event, there = columns.passing(query.event), self._value != NOTHING
        units, wanted = (
            (by_session, event) if query.unit == "session" else (by_person, event & there)
        )
        pieces = units(
            columns, wanted, lambda every: list(self._counted(every.where(there[every.code])))
        )
        links, counts = _added_up([found for piece in pieces for found in piece])
        if len(links) > query.limit:
            enough = counts >= np.partition(counts, -query.limit)[-query.limit]
            links, counts = links[enough], counts[enough]
        order = np.lexsort((links, -counts))[: query.limit]
        many = len(self._values)
        found: list[Link] = []
        for link, n in zip(links[order].tolist(), counts[order].tolist(), strict=True):
            pair, target = divmod(link, many)
            step, source = divmod(pair, many)
            found.append(
                {"step": step, "from": self._values[source], "to": self._values[target], "n": n}
            )
        return found

    def _counted(self, rows: Sequences) -> Iterator[tuple[Array, Array]]:
        """Links as numbers, in the order in which they are shown, and how many units took them,
        step by step.
        """
        value, many = self._value[rows.code], len(self._values)
        unit = np.append(rows.unit, -1)
        place = self._anchors(rows)
        for step in range(1, self._query.depth + 1):
            further = place - 1 if self._query.ends else place + 1
            going = unit[further] == unit[place]
            place, further = place[going], further[going]
            if not len(place):
                return
            source, target = (further, place) if self._query.ends else (place, further)
            yield np.unique(
                (step * many + value[source]) * many + value[target], return_counts=True
            )
            place = further

    def _anchors(self, rows: Sequences) -> Array:
        """Where the path of each unit begins, or ends."""
        if self._anchor is None:
            return runs(rows.unit)
        places = np.flatnonzero(self._anchor[rows.code])
        if self._query.ends:
            places = places[::-1]
        return places[runs(rows.unit[places])]


def _added_up(found: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The numbers in several, ascending, each with the sum of its counts."""
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    links, places = np.unique(np.concatenate([links for links, _ in found]), return_inverse=True)
    return links, np.bincount(places, np.concatenate([counts for _, counts in found])).astype(
        np.int64
    )


QUESTION = Question("/paths", Paths, answer)
