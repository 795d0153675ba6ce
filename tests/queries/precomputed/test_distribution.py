"""Percentiles of sorted runs: to the last bit those of PostgreSQL."""

import random
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.precomputed import distribution
from analytics.queries.precomputed.distribution import PAIR, Distribution, SortedRun
from tests.examples import examples
from tests.queries.storing import Storer

values = st.sampled_from([0.0, 1.0, 1.0, 2.5, -3.0, 1e308, -1e308, 5e-300]) | st.floats(
    allow_nan=False, allow_infinity=False
)


def run(numbers: Sequence[float]) -> SortedRun:
    """As it is read."""
    return SortedRun(
        np.array(
            [(number, numbers.count(number)) for number in dict.fromkeys(numbers)],
            dtype=PAIR,
        )
    )


@examples(200)
@given(
    runs=st.lists(st.lists(values, min_size=1, max_size=40), min_size=1, max_size=6),
    name=st.sampled_from(["p50", "p90", "p95", "p99"]),
    few=st.booleans(),
)
async def test_percentiles_of_runs_are_those_of_all_numbers(
    storer: Storer, runs: list[list[float]], name: str, few: bool
) -> None:
    with patch.object(distribution, "SORTED_AT_ONCE", 1000 if few else 0):
        parts = [Distribution([run(numbers)]) for numbers in runs]
        percentile = Distribution.combined(parts).measure(name)
    expression = f"percentile_cont(0.{name[1:]}) within group (order by number)"
    sql = f"select {expression} from unnest($1::float8[]) number"
    assert percentile == await storer.connection.fetchval(
        sql, [number for numbers in runs for number in numbers]
    )


def test_only_numbers_that_may_be_the_percentile_are_looked_at() -> None:
    dice = random.Random(1)
    many = [[dice.gauss(0, 1) for _ in range(2000)] for _ in range(20)]
    runs = [run(numbers) for numbers in many]
    with patch.object(np, "concatenate", wraps=np.concatenate) as sorted_:
        percentile = Distribution(runs).measure("p95")
    assert percentile == pytest.approx(np.percentile(np.array(many), 95))
    assert sum(map(len, sorted_.call_args_list[0].args[0])) < 4000


def test_a_run_takes_no_more_than_it_needs() -> None:
    assert run([float(number) for number in range(1000)]).size_bytes == 8000
    assert run([1.0, 2.0] * 1000).size_bytes == 2 * 8 + 2 * 2
