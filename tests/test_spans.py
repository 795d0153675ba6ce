"""Spans of time as people write them."""

import pytest

from analytics.spans import parse_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90m", 5_400),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("12w", 7_257_600),
        ("0d", 0),
        ("999999999s", 999_999_999),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "d", "30", "30 d", "30D", "1.5h", "-1d", "1d2h", "30d\n", "1000000000s", "٣d", "1y"],
)
def test_anything_else_is_no_span(text: str) -> None:
    assert parse_span(text) is None
