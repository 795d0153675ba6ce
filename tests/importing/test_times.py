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
        "1793527200 ",
        " 1793527200",
        "\t1793527200000\n",
        "1793527200000",
        1793527200,
        1793527200000,
        Decimal("1793527200.0"),
    ],
)
def test_an_instant_is_read_in_any_common_spelling(text: Any) -> None:
    assert read(text, None) == TEN


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


@pytest.mark.parametrize(
    "value", ["", " ", "soon", "2026-13-01T00:00Z", "11/01/2026", "1 793 527 200", True, None, [1]]
)
def test_anything_else_is_refused_and_the_message_says_what_an_import_reads(value: Any) -> None:
    with pytest.raises(EventError, match=r"2026-11-01 10:00, or the seconds or milliseconds") as no:
        read(value, BERLIN)
    assert (no.value.code, no.value.field) == ("bad_timestamp", "timestamp")


@pytest.mark.parametrize("value", ["46327.41667", 46327, Decimal("46327.5"), "1", 99999])
def test_days_that_a_spreadsheet_counted_are_named(value: Any) -> None:
    with pytest.raises(EventError, match="counts days, as spreadsheets do") as refused:
        read(value, BERLIN)
    assert refused.value.code == "bad_timestamp"


@pytest.mark.parametrize("value", ["1793527200000000", 1793527200000000000, 10**14, -(10**14)])
def test_units_smaller_than_milliseconds_are_named(value: Any) -> None:
    with pytest.raises(EventError, match="divide microseconds by 1,000") as refused:
        read(value, BERLIN)
    assert refused.value.code == "bad_timestamp"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T10:00:00,5Z",
        "2026-11-01 10:00:00,5 UTC",
        "2026-11-01 11:00:00,5",
        "2026-11-01 10:00:00.5Z",
        "2026-11-01 11:00:00.5",
    ],
)
def test_a_fraction_of_a_second_follows_a_point_or_a_comma(text: str) -> None:
    assert read(text, BERLIN) == TEN.replace(microsecond=500_000)


def test_seconds_keep_their_fraction() -> None:
    assert read(Decimal("1793527200.25"), None) == TEN.replace(microsecond=250_000)
    assert read(Decimal("1793527200000.25"), None) == TEN.replace(microsecond=250)
    assert read("-99999999999", None) == -99999999999000  # the clock says that it is too old
