"""Durations as they are written, and instants as they are shown."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.queries.language.times import Duration, Last, shown

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("90m", 5400), ("24h", 86_400), ("1d", 86_400), ("2w", 1_209_600)],
)
def test_a_duration_is_a_number_of_seconds(text: str, seconds: int) -> None:
    assert Duration.read(text) == Duration(text, seconds)


@pytest.mark.parametrize("text", ["", "0s", "1", "s", "1.5h", "-1d", "1y", "1M", "1 d"])
def test_what_is_no_positive_whole_number_and_a_unit_is_no_duration(text: str) -> None:
    for kind in (Duration, Last):
        with pytest.raises(ValueError, match="it is a number and a unit"):
            kind.read(text)


def test_the_last_days_go_back_to_local_midnight_and_the_last_hours_are_exact() -> None:
    now = datetime(2026, 10, 26, 9, 30, tzinfo=UTC)
    assert Last.read("1d").before(now, BERLIN) == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert Last.read("24h").before(now, BERLIN) == now - timedelta(hours=24)
    with pytest.raises(OverflowError):
        Last.read("999999w").before(now, BERLIN)


def test_an_instant_is_shown_with_its_offset_or_in_utc_if_that_has_seconds() -> None:
    assert shown(datetime(2026, 7, 1, tzinfo=UTC), BERLIN) == "2026-07-01T02:00:00+02:00"
    assert shown(datetime(1890, 1, 1, tzinfo=UTC), BERLIN) == "1890-01-01T00:00:00+00:00"
