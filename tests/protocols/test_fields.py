"""A sender's values and names as ours: nothing is lost, and nothing hides another."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from analytics.protocols.fields import joined, kind_of, moment, renamed, rest, since_epoch, text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "7"),
        (Decimal("1.50"), "1.50"),
        ("", None),
        (None, None),
        (True, True),
        (["x"], ["x"]),
        ("0", "0"),
    ],
)
def test_a_number_is_taken_for_its_text(value: Any, said: Any) -> None:
    assert text(value) == said
    assert type(text(value)) is type(said)


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("2026-11-02 10:00:00", "2026-11-02T10:00:00Z"),
        ("2026-11-02T10:00:00.123", "2026-11-02T10:00:00.123Z"),
        ("2026-11-02T10:00:00Z", "2026-11-02T10:00:00Z"),
        ("2026-11-02T10:00:00-08:00", "2026-11-02T10:00:00-08:00"),
        ("2026-11-02T10:00:00+0100", "2026-11-02T10:00:00+0100"),
        ("2026-11-02", "2026-11-02"),
        (" 1795438800123 ", 1_795_438_800_123),
        ("1795438800123.9", 1_795_438_800_123),
        ("1" * 29, int("1" * 29)),
        (Decimal("1795438800123.9"), 1_795_438_800_123),
        ("", None),
        (None, None),
        (True, True),
    ],
)
def test_a_time_without_an_offset_is_in_utc(given: Any, ours: Any) -> None:
    assert moment(given) == ours


@pytest.mark.parametrize(
    ("value", "per_second", "at"),
    [
        (0, 1, datetime(1970, 1, 1, tzinfo=UTC)),
        ("1795438800.5", 1, datetime(2026, 11, 23, 13, 0, 0, 500_000, tzinfo=UTC)),
        (Decimal("1795438800123"), 1_000, datetime(2026, 11, 23, 13, 0, 0, 123_000, tzinfo=UTC)),
        (1_795_438_800_123_456, 10**6, datetime(2026, 11, 23, 13, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_number_of_units_is_a_moment(value: Any, per_second: int, at: datetime) -> None:
    assert since_epoch(value, per_second) == at


@pytest.mark.parametrize(
    "value", ["soon", "", None, [], {}, "NaN", "Infinity", "1e999999", 10**30, "9" * 31]
)
def test_what_is_no_number_comes_back_to_be_refused(value: Any) -> None:
    assert since_epoch(value, 1) is value


@pytest.mark.parametrize(
    ("properties", "context", "metadata"),
    [
        (None, {"$a": 1, "$b": None, "$c": "", "$d": {}, "$e": [], "$f": 0}, {"$a": 1, "$f": 0}),
        ({"x": None}, {"$a": 1}, {"x": None, "$a": 1}),
        ({"$a": 1, "x": 2}, {"$a": 1}, {"$a": 1, "x": 2}),
        ({"$a": 2, "x": 2}, {"$a": 1}, {"$a": 1, "x": 2, "$properties": {"$a": 2}}),
        ({"$a": 2}, {"$a": None}, {"$a": 2}),
        ("text", {"$a": 1}, {"$a": 1, "$properties": "text"}),
        ([], {}, {"$properties": []}),
    ],
)
def test_properties_and_context_stand_side_by_side_and_neither_hides_the_other(
    properties: Any, context: dict[str, Any], metadata: dict[str, Any]
) -> None:
    assert joined(properties, context) == metadata


def test_fields_get_the_names_that_metadata_has_for_them() -> None:
    assert renamed({"utm_source": "x", "other": 1}, {"utm_source": "$s", "gone": "$g"}) == {
        "$s": "x"
    }
    assert rest({"used": 1, "plain": 2, "$own": 3}, {"used"}) == {"$plain": 2, "$own": 3}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("$view", ("page", "view")),
        ("buy", ("track", "buy")),
        (None, ("track", None)),
        ([], ("track", [])),
    ],
)
def test_an_event_of_no_known_name_is_tracked_under_its_own(name: Any, kind: Any) -> None:
    assert kind_of(name, {"$view": ("page", "view")}) == kind
