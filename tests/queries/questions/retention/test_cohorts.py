"""Cohorts: who belongs to which, and who of them came back when."""

import pytest
from pyroaring import BitMap

from analytics.queries.questions.retention.cohorts import PeriodActors, counts

ACTORS = PeriodActors(
    earlier=BitMap([1]),
    started=[BitMap([1, 2, 3]), BitMap([2, 4])],
    returned=[BitMap([2, 3]), BitMap([1, 2]), BitMap(), BitMap([2, 4])],
)


@pytest.mark.parametrize(
    ("mode", "bound", "expected"),
    [
        ("first", "on", [[2, 1, 0], [1, 0, 1]]),
        ("first", "after", [[2, 1, 1], [1, 1, 1]]),
        ("recurring", "on", [[3, 2, 0], [2, 0, 2]]),
        ("recurring", "after", [[3, 2, 1], [2, 2, 2]]),
    ],
)
def test_a_cohort_is_its_size_and_who_came_back_in_each_later_period(
    mode: str, bound: str, expected: list[list[int]]
) -> None:
    assert counts(ACTORS, mode, bound) == expected


def test_counting_leaves_the_sets_as_they_are() -> None:
    before = [BitMap(actors) for actors in (ACTORS.earlier, *ACTORS.started, *ACTORS.returned)]
    counts(ACTORS, "first", "after")
    assert [ACTORS.earlier, *ACTORS.started, *ACTORS.returned] == before
