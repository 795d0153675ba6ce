"""Numbers that rows have, and questions about them, answered with and without summaries."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.questions import breakdown
from analytics.queries.questions.trends import trends
from tests.queries.oracle import Row
from tests.queries.storing import Storer

NAMES = ("sum", "avg", "min", "max", "p50", "p90", "p95", "p99")
N = ("metadata", "n")

TINY = [Decimal("1e-400"), Decimal("-1e-400")]
NUMBERS = [
    0,
    1,
    1,
    2,
    3,
    -7,
    *map(Decimal, ("-0.0", "0.1", "0.2", "1.00", "2.5000", "-3e5", "1e-7", "12345.6789")),
]
LONG = [2**53 + 1, 10**30 + 1]
"""As doubles these lose digits and tiny ones are equal to 0, for the oracle they do not and are
not: it is not asked for percentiles of them.
"""

HUGE = [*map(Decimal, ("1e308", "-1e308", "1.7976931348623157e308", "9e307"))]
OTHERS = ["7", "", True, None, [1], {"a": 1}]

WEEK = (("from", "2026-10-05"), ("to", "2026-10-12"))

Parameters = Sequence[tuple[str, str]]


@contextmanager
def raw_rows_alone() -> Iterator[None]:
    """Numbers are not remembered."""
    with patch.object(Rollup, "summaries", return_value=None):
        yield


@contextmanager
def nothing_but_summaries() -> Iterator[None]:
    """Raw rows are not asked for the answer."""
    with (
        patch.object(trends, "RawLines", side_effect=AssertionError),
        patch.object(breakdown, "table", side_effect=AssertionError),
    ):
        yield


async def asked_both_ways(storer: Storer, path: str, parameters: Parameters) -> Any:
    """What is remembered, the same when it is asked for again, and the same as what PostgreSQL
    says.
    """
    with nothing_but_summaries():
        first, again = [(await storer.ask(path, *parameters))["data"] for _ in range(2)]
    with raw_rows_alone():
        raw = (await storer.ask(path, *parameters))["data"]
    assert first == raw
    assert again == raw
    return first


async def hold(storer: Storer, rows: list[Row]) -> None:
    await storer.empty()
    await storer.write(rows)
    await storer.store.compact()


async def total_of(storer: Storer, measure: str, *parameters: tuple[str, str]) -> Any:
    return (await storer.ask("/trends", *WEEK, ("measure", f"{measure}:metadata.n"), *parameters))[
        "data"
    ]["series"][0]["total"]
