"""What the docs say a breakdown is: rows put into groups one by one, and groups put in order by
comparing them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key
from typing import Any

from tests.queries.oracle import Condition, Pair, Row, in_sessions, is_event, measure

Path = tuple[str, ...]


@dataclass(frozen=True)
class Breakdown:
    """A question, in parts."""

    start: datetime
    end: datetime
    by: tuple[Path, ...]
    measures: tuple[tuple[str, Path | None], ...] = (("count", None),)
    pairs: tuple[Pair, ...] = ((None, None),)
    where: tuple[Condition, ...] = ()
    limit: int = 10
    sort: tuple[int, bool] | None = None
    """A column by its place, and whether it descends; None for the first measure, descending."""


def _compare(left: Any, right: Any, descending: bool) -> int:
    """Nulls last whatever the direction; text by code points."""
    if left is None or right is None:
        return (left is None) - (right is None)
    if isinstance(left, str):
        left, right = (
            [ord(character) for character in left],
            [ord(character) for character in right],
        )
    way = int(left > right) - int(left < right)
    return -way if descending else way


def breakdown(rows: Iterable[Row], asked: Breakdown) -> tuple[list[list[Any]], int]:
    """The rows of the table with exact values, and how many there are without the limit."""
    groups: dict[tuple[str | None, ...], list[Row]] = {}
    for row in in_sessions(
        row
        for row in rows
        if is_event(row, asked.pairs) and all(condition.holds(row) for condition in asked.where)
    ):
        if asked.start <= row.timestamp < asked.end:
            groups.setdefault(tuple(row.text(path) for path in asked.by), []).append(row)
    table = [
        [*key, *(measure(*one, mine) for one in asked.measures)] for key, mine in groups.items()
    ]
    column, descending = asked.sort or (len(asked.by), True)

    def order(left: list[Any], right: list[Any]) -> int:
        ways = [
            _compare(left[column], right[column], descending),
            *(_compare(left[at], right[at], False) for at in range(len(asked.by))),
        ]
        return next((way for way in ways if way), 0)

    return sorted(table, key=cmp_to_key(order))[: asked.limit], len(table)
