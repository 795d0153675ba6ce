"""Schema: the event types, actions and metadata keys of the range, the most frequent first."""

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import func, select

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.database.texts import bounded, count_fitting
from analytics.queries.language.fields import By, Field, MetadataKeys, Several
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.question import Question

MAX_ITEMS = 1000
"""Items in each of the three lists, as far as their names take less than MAX_TEXT_BYTES."""

TYPE = Field.read("event_type")
EVENT = Several((TYPE, Field.read("event_action")))
KEYS = MetadataKeys()


class Type(TypedDict):
    """An event type, and how many events have it."""

    event_type: str
    count: int


class Action(TypedDict):
    """An action of a type, and how many events have both."""

    event_type: str
    event_action: str
    count: int


class Key(TypedDict):
    """A key at the top of metadata, and how many events have it."""

    key: str
    count: int


class Schema(TypedDict):
    """The answer of `/api/schema`; each list starts with the largest counts."""

    event_types: list[Type]
    event_actions: list[Action]
    metadata_keys: list[Key]


def largest(query: FilteredQuery, by: By) -> Statement:
    """The largest groups of raw rows: their values, and their rows as `count`."""
    values = [
        value.label(f"value{at}")
        for at, value in enumerate(field.value for field in by.parts or (by,))
    ]
    row = select(*values).where(*query.rows()).subquery("rows")
    count = func.count().label("count")
    groups = (
        select(*row.c, count)
        .group_by(*row.c)
        .order_by(count.desc(), *(value.collate("C") for value in row.c))
        .limit(MAX_ITEMS)
    )
    return bounded(groups, [by], *row.c.keys())


async def answer(query: FilteredQuery, snapshot: Snapshot) -> Schema:
    """Event types, actions and metadata keys in the range, each with its count."""
    rollup = Rollup(snapshot)
    types, actions, keys = [
        await _largest(query, snapshot, rollup, by) for by in (TYPE, EVENT, KEYS)
    ]
    return {
        "event_types": [{"event_type": type_, "count": count} for (type_,), count in types],
        "event_actions": [
            {"event_type": type_, "event_action": action, "count": count}
            for (type_, action), count in actions
        ],
        "metadata_keys": [{"key": key, "count": count} for (key,), count in keys],
    }


async def _largest(
    query: FilteredQuery, snapshot: Snapshot, rollup: Rollup, by: By
) -> Sequence[tuple[Sequence[str], int]]:
    """The values and the rows of the largest groups: precomputed if possible, else of raw rows."""
    buckets = await rollup.buckets(query, [query.start, query.end], by, people=False)
    snapshot.sources.add("raw" if buckets is None else "rollup")
    if buckets is None:
        values = len(by.parts) or 1
        rows = await snapshot.rows(largest(query, by))
        found = [(row[:values], row[values]) for row in rows]
        return found[: count_fitting(texts for texts, _ in found)]
    split = Several.split if isinstance(by, Several) else lambda key: [key]
    groups = [
        ([str(value) for value in split(key)], sum_.count) for key, sum_ in buckets[0].items()
    ]
    groups = sorted(groups, key=lambda group: (-group[1], group[0]))[:MAX_ITEMS]
    return groups[: count_fitting(texts for texts, _ in groups)]


QUESTION = Question("/schema", FilteredQuery, answer)
