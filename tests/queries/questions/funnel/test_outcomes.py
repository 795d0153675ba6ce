"""Outcomes: durations and groups of attempts, and which groups are the largest."""

import struct
from collections.abc import Sequence

import numpy as np

from analytics.queries.questions.funnel.outcomes import NOT_REACHED, Outcomes


def times(*instants: int) -> bytes:
    """As PostgreSQL packs them."""
    return struct.pack(f">{len(instants)}q", *instants)


def first_two(marks: str, instants: Sequence[int]) -> list[int]:
    """An attempt that takes as many steps as `marks` says, on the rows with even places."""
    return [2 * step for step in range(int(marks))]


def test_a_unit_has_the_group_of_its_first_step_and_the_time_of_each_later_one() -> None:
    outcomes = Outcomes(3)
    outcomes.add(
        [
            ("3", times(10, 0, 25, 0, 125), ["b", "x", "c", "x", "c"]),
            ("0", times(1), ["a"]),
            ("2", times(5, 0, 2**40), [None, "x", "b"]),
        ],
        first_two,
    )
    assert outcomes.group.tolist() == [0, 1]
    assert [column.tolist() for column in outcomes.durations_us] == [
        [15, 2**40 - 5],
        [100, NOT_REACHED],
    ]
    assert [outcomes.group_number(key) for key in ("b", None, "new")] == [0, 1, 2]


def test_units_without_keys_are_of_one_group() -> None:
    outcomes = Outcomes(2)
    outcomes.add([("2", times(1, 0, 4)), ("1", times(2))], first_two)
    assert outcomes.group.tolist() == [0, 0]
    assert {key: units.tolist() for key, units in outcomes.largest_groups(5).items()} == {
        None: [0, 1]
    }


def test_the_largest_groups_come_first_then_by_key_and_null_last_and_none_is_empty() -> None:
    outcomes = Outcomes(2)
    numbers = {key: outcomes.group_number(key) for key in (None, "b", "gone", "a", "")}
    keys = ["b", "a", None, "", "b", "a", None]
    group = np.array([numbers[key] for key in keys], np.int32)
    outcomes.extend(group, [np.full(len(keys), NOT_REACHED, np.int64)])
    assert {key: units.tolist() for key, units in outcomes.largest_groups(9).items()} == {
        "a": [1, 5],
        "b": [0, 4],
        None: [2, 6],
        "": [3],
    }
    assert [*outcomes.largest_groups(9)] == ["a", "b", None, ""]
    assert [*outcomes.largest_groups(1)] == ["a"]
