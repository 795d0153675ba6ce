"""Shares, changes, durations, times and numbers as people read them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.commands.cells import Change, Seconds, Share, buckets, change, shown, spark
from tests.examples import examples


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (1234567, "1,234,567"),
        (-5, "-5"),
        (1234.5, "1,234.50"),
        (0.0, "0.00"),
        (0.004127, "0.00413"),
        ("", ""),
        ("None", "None"),
        ({"plan": None, "é": [1]}, '{"plan": null, "é": [1]}'),
        (Share(0.4321), "43.2 %"),
        (Share(1), "100.0 %"),
        (Change(0.25), "+25.0 %"),
        (Change(-1), "-100.0 %"),
        (Seconds(0), "0 s"),
        (Seconds(0.25), "0.25 s"),
        (Seconds(45.25), "45.2 s"),
        (Seconds(59.96), "1 min"),
        (Seconds(90), "1 min 30 s"),
        (Seconds(3_599.7), "1 h"),
        (Seconds(11_520), "3 h 12 min"),
        (Seconds(86_399), "1 d"),
        (Seconds(2.5 * 86_400), "2 d 12 h"),
        (Seconds(1_000 * 86_400), "1,000 d"),
        ("2026-11-03T10:20:00Z", "2026-11-03 10:20Z"),
        ("2026-11-03T10:20:00.123000+01:00", "2026-11-03 10:20:00.123000+01:00"),
        ("2026-11-03T10:20", "2026-11-03T10:20"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value: Any, text: str) -> None:
    assert shown(value) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
)
@examples(200)
def test_every_value_of_json_can_be_shown(value: Any) -> None:
    assert isinstance(shown(json.loads(json.dumps(value))), str)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(3, 2, 0.5), (1, 2, -0.5), (1, -2, 1.5), (1, 0, None), (None, 1, None), (1, None, None)],
)
def test_a_change_is_a_share_of_what_was_before(now: Any, before: Any, expected: Any) -> None:
    assert change(now, before) == expected


@pytest.mark.parametrize(
    ("starts", "texts"),
    [
        (["2026-11-02T00:00:00+01:00", "2026-11-03T00:00:00+01:00"], ["2026-11-02", "2026-11-03"]),
        (["2026-11-02T01:00:00Z"], ["2026-11-02 01:00"]),
        (
            ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"],
            ["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00"],
        ),
        (["t"], ["t"]),
        ([], []),
    ],
)
def test_buckets_are_named_by_what_tells_them_apart(starts: list[str], texts: list[str]) -> None:
    assert buckets(starts) == texts


def test_a_line_of_blocks_is_as_high_as_its_numbers() -> None:
    assert spark([0, 1, 2, None, 4], 24) == "▁▃▅▁█"
    assert spark([], 24) == ""
    assert spark([-2, 0], 24) == "█▁"
    assert len(spark(list(range(1000)), 24)) <= 24
