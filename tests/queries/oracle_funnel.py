"""What the docs say a funnel is: every way to match rows to steps is tried."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import combinations, permutations
from typing import Any

from tests.queries.oracle import Condition, Pair, Row, in_sessions, is_event, percentile

Pairs = tuple[Pair, ...]


@dataclass(frozen=True)
class Funnel:
    """A question, in parts."""

    start: datetime
    end: datetime
    steps: tuple[Pairs, ...]
    window: timedelta = timedelta(days=14)
    order: str = "ordered"
    unit: str = "user"
    by: tuple[str, ...] | None = None
    limit: int = 10
    where: tuple[Condition, ...] = ()


def attempt(rows: Sequence[Row], asked: Funnel) -> list[Row]:
    """The rows of a unit's earliest attempt that reaches its depth; for `any`, of some attempt that
    does.
    """
    for depth in range(len(asked.steps), 0, -1):
        ways = (
            permutations(range(len(rows)), depth)
            if asked.order == "any"
            else combinations(range(len(rows)), depth)
        )
        for way in sorted(ways):
            chosen = [rows[i] for i in way]
            times = [row.timestamp for row in chosen]
            matches = all(
                is_event(row, step) for row, step in zip(chosen, asked.steps, strict=False)
            )
            unbroken = asked.order != "strict" or way[-1] - way[0] == depth - 1
            if matches and unbroken and max(times) - min(times) <= asked.window:
                return chosen
    return []


def steps(
    attempts: Sequence[Sequence[Row]], asked: Funnel
) -> list[tuple[int, Fraction | None, Fraction | None, Fraction | None]]:
    """n, rate, step_rate, median_s of each step."""
    n = [sum(len(rows) > step for rows in attempts) for step in range(len(asked.steps))]
    figures = []
    for step in range(len(n)):
        rates = (
            [Fraction(n[step], of) if of else None for of in (n[0], n[step - 1])]
            if step
            else [Fraction(1)] * 2
        )
        median = None
        if step and asked.order != "any":
            gaps = [
                (rows[step].timestamp - rows[step - 1].timestamp) / timedelta(microseconds=1)
                for rows in attempts
                if len(rows) > step
            ]
            median = percentile([Fraction(int(gap), 10**6) for gap in gaps], Fraction(1, 2))
        figures.append((n[step], *rates, median))
    return figures


def funnel(rows: Iterable[Row], asked: Funnel) -> dict[str, Any]:
    units: dict[Any, list[Row]] = {}
    passing = in_sessions(
        row for row in rows if all(condition.holds(row) for condition in asked.where)
    )
    for row in sorted(passing, key=lambda row: (row.timestamp, row.id.int)):
        if asked.start <= row.timestamp < asked.end:
            units.setdefault(row.actor if asked.unit == "user" else row.session, []).append(row)
    attempts = [taken for mine in units.values() if (taken := attempt(mine, asked))]
    groups: dict[str | None, list[list[Row]]] = {}
    if asked.by is not None:
        for taken in attempts:
            groups.setdefault(taken[0].text(asked.by), []).append(taken)
    order = sorted(
        groups,
        key=lambda key: (
            -len(groups[key]),
            key is None,
            [ord(character) for character in key or ""],
        ),
    )
    return {
        "steps": steps(attempts, asked),
        "groups": [(key, steps(groups[key], asked)) for key in order[: asked.limit]],
    }
