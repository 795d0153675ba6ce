"""Times as files write them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.importing.times import read
from analytics.protocols.protocol import EventError

BERLIN = ZoneInfo("Europe/Berlin")
TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01 10:00:00+00",
        "2026-11-01 10:00:00 +0000",
        "2026-11-01 10:00:00 UTC",
        "2026-11-01T10:00Z",
        "2026-11-01 11:00:00.000+01:00",
        " 2026-11-01T10:00:00z ",
        "1793527200",
        "1793527200000",
        1793527200,
        1793527200000,
        Decimal("1793527200.0"),
    ],
)
def test_an_instant_is_read_in_any_common_spelling(text: Any) -> None:
    value = read(text, None)
    instant = value if isinstance(value, datetime) else datetime.fromtimestamp(value / 1000, UTC)
    assert instant == TEN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01 11:00:00", TEN),
        ("2026-11-01T11:00", TEN),
        ("2026-11-01", datetime(2026, 10, 31, 23, tzinfo=UTC)),
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # its first reading
        ("2026-11-01 10:00:00.123456789Z", TEN.replace(microsecond=123456)),
    ],
)
def test_a_local_time_is_one_of_the_zone(text: str, expected: datetime) -> None:
    assert read(text, BERLIN) == expected


@pytest.mark.parametrize("text", ["2026-11-01 10:00:00", "2026-11-01T10:00", "2026-11-01"])
def test_a_local_time_without_a_zone_is_refused_and_the_option_named(text: str) -> None:
    with pytest.raises(EventError, match="--tz") as caught:
        read(text, None)
    assert (caught.value.code, caught.value.field) == ("bad_timestamp", "timestamp")


@pytest.mark.parametrize("value", ["", "soon", "2026-13-01T00:00Z", "11/01/2026", True, None, [1]])
def test_anything_else_is_left_to_the_judge(value: Any) -> None:
    assert read(value, BERLIN) == value


def test_seconds_keep_their_fraction() -> None:
    assert read(Decimal("1793527200.25"), None) == TEN.replace(microsecond=250_000)
    assert read("-99999999999", None) == -99999999999000  # the clock says that it is too old
