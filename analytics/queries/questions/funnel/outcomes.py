"""The attempts of all units: for each its group, and how long each step took."""

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from analytics.derived.arrays import Array
from analytics.queries.questions.funnel.attempts import Matcher

NOT_REACHED = -1
"""In place of a duration: the unit did not get to that step."""


class Outcomes:
    """The attempts of all units that took the first step, as columns: eight bytes a step."""

    def __init__(self, steps: int) -> None:
        self._number_of: dict[str | None, int] = {}
        self._group = array("q")
        self._durations_us = [array("q") for _ in range(steps - 1)]

    def add(self, batch: Iterable[Sequence[Any]], match: Matcher) -> None:
        """Add units: rows of `funnel.unit_rows`, each with marks, times, and keys or nothing."""
        for marks, times, *keys in batch:
            instants = array("q", times)
            if sys.byteorder == "little":
                instants.byteswap()
            if places := match(marks, instants):
                self._group.append(self.group_number(keys[0][places[0]] if keys else None))
                for step, durations in enumerate(self._durations_us, 1):
                    reached = step < len(places)
                    durations.append(
                        instants[places[step]] - instants[places[step - 1]]
                        if reached
                        else NOT_REACHED
                    )

    def extend(self, group: Array, durations_us: Sequence[Array]) -> None:
        """Add many units: their group numbers, and a column of durations for each later step."""
        columns = [self._group, *self._durations_us]
        for column, more in zip(columns, [group, *durations_us], strict=True):
            column.frombytes(more.astype(np.int64).tobytes())

    def group_number(self, key: str | None) -> int:
        """The number of a group, from 0 on in the order of their first use."""
        return self._number_of.setdefault(key, len(self._number_of))

    @property
    def group(self) -> Array:
        """The group number of each unit."""
        return np.frombuffer(self._group, np.int64)

    @property
    def durations_us(self) -> list[Array]:
        """For each step after the first: how long it took each unit, or NOT_REACHED."""
        return [np.frombuffer(durations, np.int64) for durations in self._durations_us]

    def largest_groups(self, limit: int) -> dict[str | None, Array]:
        """The units of each of the largest groups; by size, then by key with null last."""
        group, number_of = self.group, self._number_of
        sizes = np.bincount(group, minlength=len(number_of))
        keys = sorted(
            (key for key, number in number_of.items() if sizes[number]),
            key=lambda key: (-sizes[number_of[key]], key is None, key or ""),
        )
        return {key: np.flatnonzero(group == number_of[key]) for key in keys[:limit]}
