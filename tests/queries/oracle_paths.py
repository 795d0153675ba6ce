"""What the docs say paths are, one unit after the other."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.queries.oracle import Condition, Pair, Row, in_sessions, is_event


@dataclass(frozen=True)
class Paths:
    """A question, in parts."""

    start: datetime
    end: datetime
    by: tuple[str, ...] = ("event_action",)
    begins: tuple[Pair, ...] | None = None
    ends: tuple[Pair, ...] | None = None
    depth: int = 5
    limit: int = 10
    unit: str = "user"
    where: tuple[Condition, ...] = ()


Link = tuple[int, str, str, int]
"""Step, from, to, n."""


def path(rows: list[Row], asked: Paths) -> list[str]:
    """The values of a unit's path, in the order in which they are walked."""
    rows = sorted(rows, key=lambda row: (row.timestamp, row.id.int))
    anchor = asked.begins
    if asked.ends is not None:
        rows.reverse()
        anchor = asked.ends
    while anchor is not None and rows and not is_event(rows[0], anchor):
        rows = rows[1:]
    return [str(row.text(asked.by)) for row in rows]


def paths(rows: Iterable[Row], asked: Paths) -> list[Link]:
    units: dict[Any, list[Row]] = {}
    for row in in_sessions(
        row for row in rows if all(condition.holds(row) for condition in asked.where)
    ):
        if asked.start <= row.timestamp < asked.end and row.text(asked.by) is not None:
            units.setdefault(row.actor if asked.unit == "user" else row.session, []).append(row)
    links: Counter[tuple[int, str, str]] = Counter()
    for mine in units.values():
        values = path(mine, asked)
        for step in range(1, min(asked.depth, len(values) - 1) + 1):
            near, far = values[step - 1], values[step]
            links[(step, far, near) if asked.ends is not None else (step, near, far)] += 1

    def rank(item: tuple[tuple[int, str, str], int]) -> tuple[int, int, list[int], list[int]]:
        (step, from_, to), n = item
        return (
            -n,
            step,
            [ord(character) for character in from_],
            [ord(character) for character in to],
        )

    return [(*link, n) for link, n in sorted(links.items(), key=rank)[: asked.limit]]
