"""Attempts, without a database: against every way to match rows to steps."""

from collections.abc import Sequence
from itertools import accumulate, combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions.funnel.attempts import MARK, MATCHERS, MAX_STEPS
from tests.examples import examples

Rows = Sequence[tuple[int, set[int]]]
"""The instant of each row, and the steps that it matches."""


def reference(order: str, steps: int, window: int, rows: Rows) -> list[int]:
    """The places of the earliest attempt that gets furthest; for `any`, of one of those that do."""
    for depth in range(steps, 0, -1):
        ways = (
            permutations(range(len(rows)), depth)
            if order == "any"
            else combinations(range(len(rows)), depth)
        )
        for way in ways:
            times = [rows[place][0] for place in way]
            fits = (
                all(step in rows[place][1] for step, place in enumerate(way))
                and max(times) - min(times) <= window
            )
            if fits and (order != "strict" or way[-1] - way[0] == depth - 1):
                return list(way)
    return []


def matched(order: str, steps: int, window: int, rows: Rows) -> list[int]:
    marks = "".join(chr(MARK + sum(1 << step for step in matches)) for _, matches in rows)
    return list(MATCHERS[order](steps, window)(marks, [instant for instant, _ in rows]))


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, Rows]:
    steps = draw(st.integers(2, 4))
    gaps = draw(st.lists(st.sampled_from([0, 1, 1, 2, 5]), min_size=1, max_size=8))
    matches = st.sets(st.integers(0, steps - 1), max_size=2)
    return (
        steps,
        draw(st.integers(1, 6)),
        [(instant, draw(matches)) for instant in accumulate(gaps)],
    )


@examples(400)
@given(order=st.sampled_from(["ordered", "strict", "any"]), case=cases())
def test_an_attempt_is_what_trying_every_way_finds(order: str, case: tuple[int, int, Rows]) -> None:
    steps, window, rows = case
    attempt, expected = matched(order, steps, window, rows), reference(order, steps, window, rows)
    assert attempt == expected if order != "any" else len(attempt) == len(expected)


@pytest.mark.parametrize("order", list(MATCHERS))
def test_as_many_steps_as_there_can_be_do_not_get_in_each_others_way(order: str) -> None:
    rows = [(place, {place}) for place in range(MAX_STEPS)]
    assert matched(order, MAX_STEPS, 10, rows) == list(range(MAX_STEPS))


@pytest.mark.parametrize("order", list(MATCHERS))
def test_what_a_robot_does_costs_its_rows_not_their_square(order: str) -> None:
    """A hundred thousand starts, and a step between them that never comes within the window; a
    square of them would take minutes.
    """
    rows = [(place, {0} if place % 2 else {1, 3}) for place in range(100_000)] + [(10**6, {2})]
    assert len(matched(order, 4, 50, rows)) == 2
