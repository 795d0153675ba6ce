"""Times as other products write them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from analytics.protocols.times import moment, since_epoch


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
        (" 1795438800.5\n", 1, datetime(2026, 11, 23, 13, 0, 0, 500_000, tzinfo=UTC)),
        (Decimal("1795438800123"), 1_000, datetime(2026, 11, 23, 13, 0, 0, 123_000, tzinfo=UTC)),
        (1_795_438_800_123_456, 10**6, datetime(2026, 11, 23, 13, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_number_of_units_is_a_moment(value: Any, per_second: int, at: datetime) -> None:
    assert since_epoch(value, per_second) == at


@pytest.mark.parametrize(
    "value",
    [
        *("soon", "", None, [], {}, "NaN", "Infinity", "1e999999", "9e999992", 10**30, "9" * 31),
        *(True, [0, [1], 5], "1_764_000_000", "\u0661\u0667", "+1", ".5", "9" * 5_000, 10**400),
    ],
)
def test_what_is_no_number_comes_back_to_be_refused(value: Any) -> None:
    assert since_epoch(value, 1) is value
