"""Funnel: how many units take each step, and how long each step takes them.

PostgreSQL finds the rows that match a step, and sends those of each unit in order as two strings:
which steps each row matches, and when it happened. `attempts.py` finds each unit's attempt in them.
docs/decisions/0005-funnel.md says what else was tried, and what it cost.
"""

import asyncio
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, TypedDict

import msgspec
import numpy as np
from sqlalchemy import LargeBinary, Text, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from analytics.derived.arrays import Array
from analytics.derived.instants import SECOND_US
from analytics.errors import BadRequest
from analytics.queries.database import texts
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import EventFilter
from analytics.queries.language.measures import Number, Statement, number
from analytics.queries.language.membership import Unit, members
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.language.times import Duration
from analytics.queries.question import Question
from analytics.queries.questions.funnel.attempts import MARK, MATCHERS, MAX_STEPS
from analytics.queries.questions.funnel.outcomes import NOT_REACHED, Outcomes
from analytics.queries.questions.funnel.progress import MAX_WINDOW_US, NOT_TAKEN, TRACKERS
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns
from analytics.queries.sequences.sequences import Sequences, by_person, by_session
from analytics.tables import raw_events

MIN_STEPS = 2

UNITS_AT_ONCE = 1000
"""Units in memory at a time."""

LONG_BYTES = 1000
"""A longer value of `by` counts towards MAX_TEXT_BYTES, with each row that has it."""

FORTNIGHT = Duration.read("14d")


class Funnel(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/funnel`."""

    steps: tuple[EventFilter, ...] = msgspec.field(name="step")
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

    @property
    def window_us(self) -> int:
        return self.window.seconds * SECOND_US


class Step(TypedDict):
    """Units that reached a step: number, shares of the first and previous step, median time.

    The time is from the step before; it is null for the first step and with `order=any`.
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


def unit_rows(query: Funnel) -> Statement:
    """One row a unit: `marks` and `times` of its rows in order, as `attempts.py` reads them.

    With `by` also `keys`: what the field holds in rows that match the first step, else null.
    """
    mark = sum(
        (case((step.condition, 1 << at), else_=0) for at, step in enumerate(query.steps)),
        literal(MARK),
    )
    key = []
    if query.by is not None:
        key = [case((query.steps[0].condition, query.by.value)).label("key")]
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
    no_text = aggregate_order_by(literal("", Text), *order)
    marks = func.string_agg(func.chr(row.c.mark), no_text)
    no_bytes = aggregate_order_by(literal(b"", LargeBinary), *order)
    times = func.string_agg(func.timestamptz_send(row.c.timestamp), no_bytes)
    columns = [marks.label("marks"), times.label("times")]
    if key:
        columns.append(func.array_agg(aggregate_order_by(row.c.key, *order)).label("keys"))
    return select(*columns).group_by(row.c.unit)


def long_keys(query: Funnel) -> Statement:
    """The `text_bytes` of all values that `keys` of `unit_rows` repeat and that are long."""
    assert query.by is not None  # noqa: S101 - the caller has looked
    size = func.octet_length(query.by.value)
    long = [query.steps[0].condition, size > LONG_BYTES]
    return select(func.coalesce(func.sum(size), 0).label("text_bytes")).where(*query.rows(), *long)


async def answer(query: Funnel, snapshot: Snapshot) -> Steps:
    """How many units take each step: all together, and each of the largest groups."""
    columns = await _columns(query, snapshot)
    if columns is None:
        outcomes = await _from_raw_rows(query, snapshot)
    else:
        outcomes = await columns.work(lambda: _from_columns(query, columns))
    return await asyncio.to_thread(_steps, query, outcomes)


async def _columns(query: Funnel, snapshot: Snapshot) -> Columns | None:
    """The packed days, if these can answer.

    They cannot where steps may come in any order and a row matches several: each unit then needs a
    matching of rows to steps, which `progress.py` does not do.
    """
    by_session_ = query.unit == "session"
    only = []
    if query.order != "strict" and not by_session_:
        only = [or_(*(step.condition for step in query.steps))]
    columns = await packed_days.load(query, snapshot, query.by, only, sessions=by_session_)
    if columns is None or query.order != "any":
        return columns
    # A mark less its lowest bit is 0 if it has only that bit.
    marks = await columns.work(lambda: _marks(query, columns))
    return None if np.any(marks & (marks - 1)) else columns


def _marks(query: Funnel, columns: Columns) -> Array:
    """For each name the steps that its rows match, as bits: the first step is the lowest."""
    marks = [
        sum(1 << at for at, step in enumerate(query.steps) if step.match(type_, action))
        for type_, action, _ in columns.names
    ]
    return np.array(marks, np.min_scalar_type(1 << len(query.steps)))


def _from_columns(query: Funnel, columns: Columns) -> Outcomes:
    outcomes = Outcomes(len(query.steps))
    marks, included = _marks(query, columns), columns.matching(query.event)
    groups = [outcomes.group_number(key) for key in columns.values(query.by)]
    group_of = np.array(groups, np.int64)
    window_us = min(query.window_us, MAX_WINDOW_US)
    # Rows without a step lie between steps with `strict`. They hold sessions together otherwise, so
    # they are left out once sessions are made; by person they can be left out at once.
    by_session_, strict = query.unit == "session", query.order == "strict"
    drop_later = by_session_ and not strict

    def outcome(rows: Sequences) -> tuple[Array, list[Array]]:
        if drop_later:
            rows = rows.where(marks[rows.code] > 0)
        places = TRACKERS[query.order](rows, marks[rows.code], len(query.steps), window_us)
        durations_us = [
            np.where(place == NOT_TAKEN, NOT_REACHED, rows.at[place] - rows.at[before])
            for before, place in pairwise(places)
        ]
        return group_of[rows.code[places[0]]], durations_us

    if not strict and not by_session_:
        included = included & (marks > 0)
    for group, durations_us in (by_session if by_session_ else by_person)(
        columns, included, outcome
    ):
        outcomes.extend(group, durations_us)
    return outcomes


async def _from_raw_rows(query: Funnel, snapshot: Snapshot) -> Outcomes:
    snapshot.sources.add("raw")
    if query.by is not None and query.by.column == "metadata":
        texts.check_bytes(sum(row.text_bytes for row in await snapshot.rows(long_keys(query))))
    match = MATCHERS[query.order](len(query.steps), query.window_us)
    outcomes = Outcomes(len(query.steps))
    async for batch in await snapshot.batches(unit_rows(query), UNITS_AT_ONCE):
        await asyncio.to_thread(outcomes.add, batch, match)
    return outcomes


def _steps(query: Funnel, outcomes: Outcomes) -> Steps:
    """The answer, from the attempts of all units."""
    groups = outcomes.largest_groups(query.limit) if query.by else {}
    texts.check(groups)
    everybody = np.arange(len(outcomes.group))
    return {
        "steps": _steps_of(query, outcomes, everybody),
        "groups": [
            {"key": {query.by.text: key}, "steps": _steps_of(query, outcomes, units)}
            for key, units in groups.items()
            if query.by
        ],
    }


def _steps_of(query: Funnel, outcomes: Outcomes, units: Array) -> list[Step]:
    """The steps of some units, given by their places in `outcomes`."""
    steps: list[Step] = [
        {
            "event": query.steps[0].text,
            "n": len(units),
            "rate": 1,
            "step_rate": 1,
            "median_s": None,
        }
    ]
    for event, durations_us in zip(query.steps[1:], outcomes.durations_us, strict=True):
        reached_us = durations_us[units]
        reached_us = reached_us[reached_us != NOT_REACHED]
        n = len(reached_us)
        steps.append(
            {
                "event": event.text,
                "n": n,
                "rate": _share(n, len(units)),
                "step_rate": _share(n, steps[-1]["n"]),
                "median_s": _median_seconds(reached_us) if query.order != "any" else None,
            }
        )
    return steps


def _share(n: int, of: int) -> Number:
    return number(n / of) if of else None


def _median_seconds(durations_us: Array) -> Number:
    if not len(durations_us):
        return None
    middle = (len(durations_us) - 1) // 2, len(durations_us) // 2
    low, high = np.partition(durations_us, middle)[list(middle)].tolist()
    return number((low + high) / (2 * SECOND_US))


QUESTION = Question("/funnel", Funnel, answer)
