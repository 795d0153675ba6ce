"""Funnel: how many units take a step, how many of these the next one after it, and how long that takes them.

PostgreSQL finds the rows that match some step and puts those of each unit in order, as two strings: which steps each row matches, and when
it happened. `attempts.py` finds each unit's attempt in them. docs/decisions/0005-funnel.md has what else was tried, and what it cost.
"""

import asyncio
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

import msgspec
from sqlalchemy import LargeBinary, Text, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from analytics.errors import BadRequest
from analytics.queries.answer import Question
from analytics.queries.asked import Filtered, Limit
from analytics.queries.attempts import MARK, MAX_STEPS, ORDERS, Matcher
from analytics.queries.fields import Field
from analytics.queries.filters import Events
from analytics.queries.measures import Number, Statement, number
from analytics.queries.read import Read
from analytics.queries.times import Duration
from analytics.queries.units import Unit, members
from analytics.tables import raw_events

MIN_STEPS = 2

BATCH = 1000
"""Units in memory at a time."""

NEVER = -1
"""How long a step took whoever did not take it."""

SECOND = 1_000_000

FORTNIGHT = Duration.read("14d")


class Funnel(Filtered, frozen=True, kw_only=True):
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
            raise BadRequest(f"step: a funnel has {MIN_STEPS} to {MAX_STEPS} steps, each a parameter of its own", code="bad_parameter", field="step")
        if "by" in values and values.get("order") == "any":
            raise BadRequest("by and order=any exclude each other: no row is the first", code="conflicting_parameters", field="by")


class Step(TypedDict):
    """How many units got to a step: in all, of the first step and of the one before; and how long it took them from there, at the median."""

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
    """What is answered."""

    steps: list[Step]
    groups: list[Group]


def units(asked: Funnel) -> Statement:
    """`marks` and `times` of the rows of each unit, and what `by` holds in those that match the first step, all in the order of the rows."""
    mark = sum((case((step.condition, 1 << at), else_=0) for at, step in enumerate(asked.steps)), literal(MARK))
    key = [] if asked.by is None else [case((asked.steps[0].condition, asked.by.value)).label("key")]
    matching = [] if asked.order == "strict" else [or_(*(step.condition for step in asked.steps))]
    row = members(asked.unit, asked.rows(), mark.label("mark"), raw_events.c.timestamp, raw_events.c.id, *key, then=matching).subquery("rows")
    order = (row.c.timestamp, row.c.id)
    columns = [
        func.string_agg(func.chr(row.c.mark), aggregate_order_by(literal("", Text), *order)).label("marks"),
        func.string_agg(func.timestamptz_send(row.c.timestamp), aggregate_order_by(literal(b"", LargeBinary), *order)).label("times"),
        *(func.array_agg(aggregate_order_by(row.c.key, *order)).label("keys") for _ in key),
    ]
    return select(*columns).group_by(row.c.unit)


class Attempts:
    """What is kept of the attempts of all units: for each its group, and how long each step after the first took."""

    def __init__(self, steps: int) -> None:
        self.groups: dict[str | None, int] = {}
        self.group = array("L")
        self.took = [array("q") for _ in range(steps - 1)]

    def add(self, batch: Iterable[Sequence[Any]], match: Matcher) -> None:
        """The attempts of more units: marks, times, and keys or nothing."""
        for marks, times, *keys in batch:
            instants = array("q", times)
            if sys.byteorder == "little":
                instants.byteswap()
            if places := match(marks, instants):
                key = keys[0][places[0]] if keys else None
                self.group.append(self.groups.setdefault(key, len(self.groups)))
                for at, took in enumerate(self.took, 1):
                    took.append(instants[places[at]] - instants[places[at - 1]] if at < len(places) else NEVER)

    def largest(self, limit: int) -> dict[str | None, list[int]]:
        """The attempts of each of the largest groups, in the order in which these are shown."""
        sizes = Counter(self.group)
        shown = sorted(self.groups, key=lambda key: (-sizes[self.groups[key]], key is None, key or ""))[:limit]
        members: dict[int, list[int]] = {self.groups[key]: [] for key in shown}
        for attempt, group in enumerate(self.group):
            if group in members:
                members[group].append(attempt)
        return {key: members[self.groups[key]] for key in shown}


async def answer(asked: Funnel, read: Read) -> Steps:
    """The steps of all units, and those of each of the largest groups."""
    match = ORDERS[asked.order](len(asked.steps), asked.window.seconds * SECOND)
    attempts = Attempts(len(asked.steps))
    async for batch in await read.batches(units(asked), BATCH):
        await asyncio.to_thread(attempts.add, batch, match)
    groups = attempts.largest(asked.limit) if asked.by else {}
    return {
        "steps": _steps(asked, attempts, range(len(attempts.group))),
        "groups": [{"key": {asked.by.text: key}, "steps": _steps(asked, attempts, members)} for key, members in groups.items() if asked.by],
    }


def _steps(asked: Funnel, attempts: Attempts, members: Sequence[int]) -> list[Step]:
    """The steps of some of the attempts."""
    steps: list[Step] = [{"event": asked.steps[0].text, "n": len(members), "rate": 1, "step_rate": 1, "median_s": None}]
    for event, all_took in zip(asked.steps[1:], attempts.took, strict=True):
        took = sorted(all_took[member] for member in members if all_took[member] != NEVER)
        n, median = len(took), _median(took) if asked.order != "any" else None
        steps.append({"event": event.text, "n": n, "rate": _share(n, len(members)), "step_rate": _share(n, steps[-1]["n"]), "median_s": median})
    return steps


def _share(n: int, of: int) -> Number:
    return number(n / of) if of else None


def _median(took: Sequence[int]) -> Number:
    """In seconds, of sorted microseconds."""
    return number((took[(len(took) - 1) // 2] + took[len(took) // 2]) / (2 * SECOND)) if took else None


QUESTION = Question("/funnel", Funnel, answer)
