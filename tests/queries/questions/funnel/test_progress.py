"""Progress of all units at once, against attempts of each unit by itself.

The rows have many ties, and windows end exactly on some of them.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions.funnel import attempts, progress
from analytics.queries.questions.funnel.attempts import MARK
from analytics.queries.sequences.sequences import Sequences
from tests.examples import examples

Unit = list[tuple[int, int]]
"""Rows: an instant, and which steps it matches."""


def units(masks: st.SearchStrategy[int]) -> st.SearchStrategy[list[Unit]]:
    row = st.tuples(st.integers(0, 12), masks)
    return st.lists(
        st.lists(row, max_size=12).map(lambda rows: sorted(rows, key=lambda row: row[0])),
        max_size=5,
    )


def of_steps(units: list[Unit], steps: int) -> list[Unit]:
    return [[(at, mask & (1 << steps) - 1) for at, mask in unit] for unit in units]


def sequences(units: list[Unit]) -> tuple[Sequences, np.ndarray]:
    rows = [(number, at, mask) for number, unit in enumerate(units, 7) for at, mask in unit]
    unit, at, marks = (np.array([row[column] for row in rows], np.int64) for column in range(3))
    return Sequences(unit, at, marks), marks


def alone(units: list[Unit], order: str, steps: int, window: int) -> list[list[int]]:
    """The places of each unit's attempt, among all rows."""
    match, by_unit, before = attempts.MATCHERS[order](steps, window), [], 0
    for unit in units:
        places = match("".join(chr(MARK + mask) for _, mask in unit), [at for at, _ in unit])
        if places:
            by_unit.append([place + before for place in places])
        before += len(unit)
    return by_unit


def taken(columns: list[np.ndarray]) -> list[list[int]]:
    return [
        [place for place in places if place != progress.NOT_TAKEN]
        for places in zip(*(column.tolist() for column in columns), strict=True)
    ]


@pytest.mark.parametrize("order", ["ordered", "strict"])
@examples(600)
@given(
    units=units(st.sampled_from([0, 1, 1, 2, 3, 4, 5, 7])),
    steps=st.integers(2, 3),
    window=st.integers(0, 12),
)
def test_all_units_get_as_far_as_each_by_itself(
    order: str, units: list[Unit], steps: int, window: int
) -> None:
    units = of_steps(units, steps)
    rows, marks = sequences(units)
    assert taken(progress.TRACKERS[order](rows, marks, steps, window)) == alone(
        units, order, steps, window
    )


@examples(600)
@given(
    units=units(st.sampled_from([0, 1, 2, 4])), steps=st.integers(2, 3), window=st.integers(0, 12)
)
def test_in_any_order_too(units: list[Unit], steps: int, window: int) -> None:
    units = of_steps(units, steps)
    rows, marks = sequences(units)
    by_unit = taken(progress.TRACKERS["any"](rows, marks, steps, window))
    assert [len(places) for places in by_unit] == [
        len(places) for places in alone(units, "any", steps, window)
    ]
