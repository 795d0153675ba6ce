"""Buckets hold each instant once, whatever the clocks do; and there are so many."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.language.intervals import (
    DAY,
    INTERVALS,
    MAX_BUCKETS,
    Interval,
    edges,
    edges_before,
)
from tests.examples import examples

CHANGES = [
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("America/Toronto", datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),
]
TICK = timedelta(microseconds=1)
UTC_ZONE = ZoneInfo("UTC")


@examples(300)
@given(
    change=st.sampled_from(CHANGES),
    interval=st.sampled_from([*INTERVALS.values()]),
    near=st.timedeltas(timedelta(days=-3), timedelta(days=3)) | st.sampled_from([-TICK, 0 * TICK]),
)
def test_an_instant_is_in_the_bucket_that_begins_at_its_floor_and_ends_after_it(
    change: tuple[str, datetime], interval: Interval, near: timedelta
) -> None:
    name, at = change
    where, instant = ZoneInfo(name), at + near
    start = interval.floor(instant, where)
    end = interval.after(start, where)
    assert start <= instant < end
    assert interval.floor(start, where) == start
    assert interval.floor(end - TICK, where) == start
    assert interval.floor(end, where) == end


@pytest.mark.parametrize("interval", INTERVALS.values(), ids=INTERVALS)
def test_edges_before_are_those_that_a_longer_range_has(interval: Interval) -> None:
    where = ZoneInfo("Europe/Berlin")
    middle = datetime(2026, 10, 25, 3, 30, tzinfo=UTC)
    first = edges(middle, middle + TICK, interval, where)[0]
    before = edges_before(first, 7, interval, where)
    assert [*before, first] == edges(before[0], first, interval, where)
    assert edges_before(first, 0, interval, where) == []


def test_a_range_that_ends_at_an_edge_has_no_bucket_after_it() -> None:
    start = datetime(2026, 11, 2, 12, tzinfo=UTC)
    midnight = datetime(2026, 11, 4, tzinfo=UTC)
    assert edges(start, midnight, DAY, UTC_ZONE)[-1] == midnight
    assert edges(start, midnight + TICK, DAY, UTC_ZONE)[-1] == midnight + timedelta(days=1)


def test_a_skipped_day_is_no_bucket() -> None:
    start, end = datetime(2011, 12, 29, 12, tzinfo=UTC), datetime(2011, 12, 31, 12, tzinfo=UTC)
    local = [
        edge.astimezone(ZoneInfo("Pacific/Apia"))
        for edge in edges(start, end, DAY, ZoneInfo("Pacific/Apia"))
    ]
    assert [edge.day for edge in local] == [29, 31, 1, 2]
    assert {after - before for before, after in pairwise(map(datetime.timestamp, local))} == {
        86_400
    }


def test_there_are_so_many_buckets_and_no_more() -> None:
    start, minute = datetime(2026, 11, 2, tzinfo=UTC), INTERVALS["minute"]
    most = start + timedelta(minutes=MAX_BUCKETS)
    assert len(edges(start, most, minute, UTC_ZONE)) == MAX_BUCKETS + 1
    with pytest.raises(ValueError, match="more than 11,000 buckets"):
        edges(start, most + TICK, minute, UTC_ZONE)


def test_no_bucket_begins_before_the_year_1() -> None:
    with pytest.raises(OverflowError):
        edges_before(datetime(1, 1, 3, tzinfo=UTC), 3, DAY, UTC_ZONE)


def test_an_interval_is_one_of_five_words() -> None:
    assert Interval.read("week") is INTERVALS["week"]
    for word in ("", "Week", "year", "days"):
        with pytest.raises(ValueError, match="it is one of minute, hour, day, week, month"):
            Interval.read(word)
