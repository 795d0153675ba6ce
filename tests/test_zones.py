"""Local times, and what they mean where clocks change."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics import zones
from analytics.zones import first_instant, moment, transition, zone

BERLIN, HAVANA, SAO_PAULO, TORONTO = map(
    ZoneInfo, ("Europe/Berlin", "America/Havana", "America/Sao_Paulo", "America/Toronto")
)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-02", "2026-11-01T23:00Z"),
        ("2026-11-02T10:00", "2026-11-02T09:00Z"),
        ("2026-11-02t10:00:00,5z", "2026-11-02T10:00:00.5Z"),
        ("2026-11-02 10:00 0530", "2026-11-02T04:30Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30Z"),
        ("2026-03-29T02:00", "2026-03-29T01:00Z"),
        ("2026-03-29T02:30", "2026-03-29T01:00Z"),
        ("2026-03-29T02:59:59.999999", "2026-03-29T01:00Z"),
        ("2026-03-29T03:00", "2026-03-29T01:00Z"),
    ],
)
def test_a_moment_without_an_offset_is_local(text: str, instant: str) -> None:
    assert moment(text)(BERLIN) == datetime.fromisoformat(instant)


@pytest.mark.parametrize(
    "text", ["", "20261102", "2026-11", "2026-02-30", "2026-11-02T24:01", "2026-11-02T10:00+99:00"]
)
def test_what_is_no_date_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        moment(text)


@pytest.mark.parametrize("name", ["europe/berlin", "localtime", "Factory", "../UTC", "", "Mars"])
def test_only_a_name_of_iana_is_a_zone(name: str) -> None:
    assert zone("Europe/Berlin") is BERLIN
    with pytest.raises(ValueError, match="no time zone is called"):
        zone(name)


@pytest.fixture
def machine_without_zones() -> Iterator[None]:
    path = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=())
    zones._zones.cache_clear()
    yield
    zoneinfo.reset_tzpath(to=path)
    zones._zones.cache_clear()


@pytest.mark.usefixtures("machine_without_zones")
@pytest.mark.parametrize("name", ["Europe/Kyiv", "Europe/Kiev", "Asia/Calcutta", "US/Eastern"])
def test_browsers_old_and_new_names_are_zones_whatever_the_machine_has(name: str) -> None:
    assert zone(name).key == name


@pytest.mark.parametrize(
    ("day", "where", "begins"),
    [
        (date(2026, 11, 2), BERLIN, "2026-11-01T23:00Z"),
        (date(2018, 11, 4), SAO_PAULO, "2018-11-04T03:00Z"),
        (date(1919, 3, 31), TORONTO, "1919-03-31T04:30Z"),
        (date(2026, 11, 1), HAVANA, "2026-11-01T04:00Z"),
    ],
    ids=["midnight", "no midnight", "none nor the half hour before", "two midnights"],
)
def test_a_day_begins_at_its_first_instant(day: date, where: ZoneInfo, begins: str) -> None:
    assert first_instant(day, where) == datetime.fromisoformat(begins)


def test_a_transition_is_the_first_second_with_another_offset() -> None:
    change = datetime(2026, 10, 25, 1, tzinfo=UTC)
    for before, after in [(5, 5), (1, 86_400), (0.5, 0), (0.5, 0.5)]:
        since, until = (timedelta(seconds=seconds) for seconds in (before, after))
        assert transition(change - since, change + until, BERLIN) == change
