"""Funnel: how many units take a step, how many of these the next one after it, and how long that
takes them.

PostgreSQL finds the rows that match some step and puts those of each unit in order, as two strings:
which steps each row matches, and when it happened. `attempts.py` finds each unit's attempt in them.
docs/decisions/0005-funnel.md has what else was tried, and what it cost.
"""

import asyncio
import sys
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, TypedDict

import msgspec
import numpy as np
from sqlalchemy import LargeBinary, Text, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from analytics.derived.arrays import Array
from analytics.errors import BadRequest
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Events
from analytics.queries.language.measures import Number, Statement, number
from analytics.queries.language.membership import Unit, members
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.language.times import Duration
from analytics.queries.question import Question
from analytics.queries.questions.funnel.attempts import MARK, MAX_STEPS, ORDERS, Matcher
from analytics.queries.questions.funnel.progress import LONGEST, NOT_TAKEN, TRACKERS
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns
from analytics.queries.sequences.sequences import Sequences, by_person, by_session
from analytics.tables import raw_events

MIN_STEPS = 2

BATCH = 1000
"""Units in memory at a time."""

NEVER = -1
"""How long a step took whoever did not take it."""

SECOND = 1_000_000

FORTNIGHT = Duration.read("14d")


class Funnel(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/funnel`."""

    steps: tuple[Events, ...] = msgspec.field(name="step")
    window: Duration = FORTNIGHT
    order: Literal["ordered", "strict", "any"] = "ordered"
    unit: Unit = "user"
    by: Field | None = None
    limit: Limit = 10

    @classmethod
    def complete(cls, values: dict[str, Any], now: datetime, project: str) -> None:
        super().complete(values, now, project)
        if "steps" in values and not MIN_STEPS <= len(values["steps"]) <= MAX_STEPS:
            raise BadRequest(
                f"step: a funnel has {MIN_STEPS} to {MAX_STEPS} steps, each a parameter of its own",
                code="bad_parameter",
                field="step",
            )
        if "by" in values and values.get("order") == "any":
            raise BadRequest(
                "by and order=any exclude each other: with order=any no step is the first",
                code="conflicting_parameters",
                field="by",
            )


class Step(TypedDict):
    """Units that reached a step: their number, their share of the first step and of the step
    before, and their median time from it.
    """

    event: str
    n: int
    rate: Number
    step_rate: Number
    median_s: Number


class Group(TypedDict):
    """The steps of the units of one group."""

    key: dict[str, str | None]
    steps: list[Step]


class Steps(TypedDict):
    """The answer of `/api/funnel`."""

    steps: list[Step]
    groups: list[Group]


def units(query: Funnel) -> Statement:
    """`marks` and `times` of the rows of each unit, and what `by` holds in those that match the
    first step, all in the order of the rows.
    """
    mark = sum(
        (case((step.condition, 1 << at), else_=0) for at, step in enumerate(query.steps)),
        literal(MARK),
    )
    key = (
        [] if query.by is None else [case((query.steps[0].condition, query.by.value)).label("key")]
    )
    matching = [] if query.order == "strict" else [or_(*(step.condition for step in query.steps))]
    row = members(
        query.unit,
        query.rows(),
        mark.label("mark"),
        raw_events.c.timestamp,
        raw_events.c.id,
        *key,
        then=matching,
    ).subquery("rows")
    order = (row.c.timestamp, row.c.id)
    columns = [
        func.string_agg(func.chr(row.c.mark), aggregate_order_by(literal("", Text), *order)).label(
            "marks"
        ),
        func.string_agg(
            func.timestamptz_send(row.c.timestamp),
            aggregate_order_by(literal(b"", LargeBinary), *order),
        ).label("times"),
        *(func.array_agg(aggregate_order_by(row.c.key, *order)).label("keys") for _ in key),
    ]
    return select(*columns).group_by(row.c.unit)


class Attempts:
    """What is kept of the attempts of all units: for each its group, and how long each step after
    the first took, in microseconds.
    """

    def __init__(self, steps: int) -> None:
        self.groups: dict[str | None, int] = {}
        self._group = array("q")
        self._took = [array("q") for _ in range(steps - 1)]

    def add(self, batch: Iterable[Sequence[Any]], match: Matcher) -> None:
        """The attempts of more units: marks, times, and keys or nothing."""
        for marks, times, *keys in batch:
            instants = array("q", times)
            if sys.byteorder == "little":
                instants.byteswap()
            if places := match(marks, instants):
                self._group.append(self.number(keys[0][places[0]] if keys else None))
                for at, took in enumerate(self._took, 1):
                    took.append(
                        instants[places[at]] - instants[places[at - 1]]
                        if at < len(places)
                        else NEVER
                    )

    def extend(self, group: Array, took: Sequence[Array]) -> None:
        """The same of many at once."""
        for kept, more in zip([self._group, *self._took], [group, *took], strict=True):
            kept.frombytes(more.astype(np.int64).tobytes())

    def number(self, key: str | None) -> int:
        """The number of a group."""
        return self.groups.setdefault(key, len(self.groups))

    @property
    def group(self) -> Array:
        return np.frombuffer(self._group, np.int64)

    @property
    def took(self) -> list[Array]:
        return [np.frombuffer(took, np.int64) for took in self._took]

    def largest(self, limit: int) -> dict[str | None, Array]:
        """The attempts of each of the largest groups, in the order in which these are shown."""
        group = self.group
        sizes = np.bincount(group, minlength=len(self.groups))
        found = sorted(
            (key for key, number in self.groups.items() if sizes[number]),
            key=lambda key: (-sizes[self.groups[key]], key is None, key or ""),
        )
        return {key: np.flatnonzero(group == self.groups[key]) for key in found[:limit]}


async def answer(query: Funnel, snapshot: Snapshot) -> Steps:
    """How many units take each step: all units together, and each of the largest groups."""
    columns = await _columns(query, snapshot)
    attempts = (
        await _of_rows(query, snapshot)
        if columns is None
        else await columns.work(lambda: _of_columns(query, columns))
    )
    return await asyncio.to_thread(_shown, query, attempts)


async def _columns(query: Funnel, snapshot: Snapshot) -> Columns | None:
    """The packed days that will do: but not for rows of several steps at once in any order, which
    ask for a matching of each unit.
    """
    rows_between = query.order == "strict" or query.unit == "session"
    only = [] if rows_between else [or_(*(step.condition for step in query.steps))]
    columns = await packed_days.load(
        query, snapshot, query.by, only, sessions=query.unit == "session"
    )
    if (
        columns is not None
        and query.order == "any"
        and any(mark & (mark - 1) for mark in _marks(query, columns).tolist())
    ):
        return None
    return columns


def _marks(query: Funnel, columns: Columns) -> Array:
    """Which steps rows of each name match."""
    marks = [
        sum(1 << at for at, step in enumerate(query.steps) if step.match(type_, action))
        for type_, action, _ in columns.names
    ]
    return np.array(marks, np.min_scalar_type(1 << len(query.steps)))


def _of_columns(query: Funnel, columns: Columns) -> Attempts:
    attempts = Attempts(len(query.steps))
    marks, event, between = (
        _marks(query, columns),
        columns.passing(query.event),
        query.order == "strict",
    )
    between_stays = (
        query.unit == "session" and not between
    )  # of which sessions are made, though no step is
    groups = np.array([attempts.number(key) for key in columns.values(query.by)], np.int64)
    window = min(query.window.seconds * SECOND, LONGEST)

    def attempted(every: Sequences) -> tuple[Array, list[Array]]:
        rows = every.where(marks[every.code] > 0) if between_stays else every
        places = TRACKERS[query.order](rows, marks[rows.code], len(query.steps), window)
        took = [
            np.where(place == NOT_TAKEN, NEVER, rows.at[place] - rows.at[before])
            for before, place in pairwise(places)
        ]
        return groups[rows.code[places[0]]], took

    units = by_session if query.unit == "session" else by_person
    wanted = event if between or between_stays else event & (marks > 0)
    for group, took in units(columns, wanted, attempted):
        attempts.extend(group, took)
    return attempts


async def _of_rows(query: Funnel, snapshot: Snapshot) -> Attempts:
    snapshot.sources.add("raw")
    match = ORDERS[query.order](len(query.steps), query.window.seconds * SECOND)
    attempts = Attempts(len(query.steps))
    async for batch in await snapshot.batches(units(query), BATCH):
        await asyncio.to_thread(attempts.add, batch, match)
    return attempts


def _shown(query: Funnel, attempts: Attempts) -> Steps:
    groups = attempts.largest(query.limit) if query.by else {}
    return {
        "steps": _steps(query, attempts, np.arange(len(attempts.group))),
        "groups": [
            {"key": {query.by.text: key}, "steps": _steps(query, attempts, members)}
            for key, members in groups.items()
            if query.by
        ],
    }


def _steps(query: Funnel, attempts: Attempts, members: Array) -> list[Step]:
    """The steps of some of the attempts."""
    steps: list[Step] = [
        {
            "event": query.steps[0].text,
            "n": len(members),
            "rate": 1,
            "step_rate": 1,
            "median_s": None,
        }
    ]
    for event, all_took in zip(query.steps[1:], attempts.took, strict=True):
        took = all_took[members]
        took = took[took != NEVER]
        n, median = len(took), _median(took) if query.order != "any" else None
        steps.append(
            {
                "event": event.text,
                "n": n,
                "rate": _share(n, len(members)),
                "step_rate": _share(n, steps[-1]["n"]),
                "median_s": median,
            }
        )
    return steps


def _share(n: int, of: int) -> Number:
    return number(n / of) if of else None


def _median(took: Array) -> Number:
    """In seconds, of microseconds."""
    if not len(took):
        return None
    middle = (len(took) - 1) // 2, len(took) // 2
    low, high = np.partition(took, middle)[list(middle)].tolist()
    return number((low + high) / (2 * SECOND))


QUESTION = Question("/funnel", Funnel, answer)
