"""Hours and days since 1970, at their very edges."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from analytics.derived.instants import BEGINNING, day_of, hour_of, instant

MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def test_an_hour_ends_with_its_last_microsecond() -> None:
    hour = hour_of(MIDNIGHT)
    assert instant(hour) == MIDNIGHT
    assert (hour_of(MIDNIGHT - MICROSECOND), day_of(MIDNIGHT - MICROSECOND)) == (
        hour - 1,
        hour - 24,
    )
    assert (hour_of(MIDNIGHT + timedelta(hours=1) - MICROSECOND), day_of(MIDNIGHT)) == (hour, hour)


def test_a_day_is_one_of_utc_wherever_the_moment_was_read() -> None:
    zone = timezone(timedelta(hours=14))
    assert day_of((MIDNIGHT - MICROSECOND).astimezone(zone)) == hour_of(MIDNIGHT) - 24


def test_before_1970_hours_are_counted_down() -> None:
    last = datetime(1970, 1, 1, tzinfo=UTC) - MICROSECOND
    assert (hour_of(last), day_of(last)) == (-1, -24)
    assert instant(-1) == datetime(1969, 12, 31, 23, tzinfo=UTC)


def test_the_beginning_is_before_every_event_and_is_no_date() -> None:
    assert hour_of(datetime.min.replace(tzinfo=UTC)) > BEGINNING
    with pytest.raises(ValueError, match="year"):
        instant(BEGINNING)
