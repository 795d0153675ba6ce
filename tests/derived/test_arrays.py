"""Tools for columns agree with the same said in plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.derived.arrays import distinct, positions_of_runs, runs
from tests.examples import examples

SMALL = st.integers(0, 3)


def test_a_run_ends_where_any_column_changes() -> None:
    first, second = np.array([1, 1, 1, 2, 2]), np.array([5, 5, 6, 6, 6])
    assert runs(first, second).tolist() == [0, 2, 3]
    assert runs(np.array([], np.int32)).tolist() == []


@examples(100)
@given(pairs=st.lists(st.tuples(SMALL, SMALL), max_size=8))
def test_positions_are_those_of_each_run_in_turn(pairs: list[tuple[int, int]]) -> None:
    firsts, lengths = np.array(pairs, np.uint32).reshape(-1, 2).T
    positions = positions_of_runs(firsts, lengths)
    expected = [first + step for first, length in pairs for step in range(length)]
    assert positions.tolist() == expected
    assert positions.dtype == np.dtype(np.int64)


@examples(100)
@given(values=st.lists(SMALL, max_size=8))
def test_distinct_values_ascend(values: list[int]) -> None:
    assert distinct(np.array(values, np.int64)).tolist() == sorted(set(values))
