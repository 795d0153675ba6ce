"""Trends against the oracle, over random streams."""

import json
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.queries import oracle
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.streams import questions, streams, written, written_field

several = examples(100)


def equal(got: Any, expected: Fraction | None) -> bool:
    """Whole numbers to the last digit, others to what a double holds; small ones are lost in sums
    of doubles.
    """
    if expected is None or got is None or (isinstance(got, int) and expected.denominator == 1):
        return bool(got == expected)
    return bool(Fraction(got) == pytest.approx(expected, rel=1e-12, abs=1e-12))


def assert_line(item: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {*item} - {"key"} == {*expected}
    for name, want in expected.items():
        got, want = (item[name], want) if isinstance(want, list) else ([item[name]], [want])
        assert len(got) == len(want)
        assert all(map(equal, got, want)), (name, got, [oracle.simple(value) for value in want])


def assert_same(answer: dict[str, Any], expected: dict[str, Any], asked: Trend) -> None:
    assert [datetime.fromisoformat(time) for time in answer["times"]] == expected["times"]
    by = written_field(asked.by) if asked.by else None
    assert [item["key"] for item in answer["series"]] == [
        {by: key} if by else {} for key, _ in expected["series"]
    ]
    for item, (_, line) in zip(answer["series"], expected["series"], strict=True):
        assert_line(item, line)
    assert (answer["other"] is None) == (expected["other"] is None)
    if expected["other"] is not None:
        assert_line(answer["other"], expected["other"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Trend, list[Row]]:
    asked = draw(questions())
    return asked, draw(streams(asked))


@several
@given(case=cases())
async def test_trends_are_what_a_plain_count_says(
    asker: Asker, case: tuple[Trend, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    answer = (await asker.ask("/trends", *written(asked)))["data"]
    assert_same(answer, oracle.trends(rows, asked), asked)
    json.dumps(answer, allow_nan=False)
