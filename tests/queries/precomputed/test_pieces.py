"""Pieces: each instant of a range is in one block or in one range of raw rows, never in both."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.derived.instants import DAY_SPAN, HOUR_SPAN
from analytics.queries.precomputed.pieces import FIRST_EVENT, Block, Coverage, Pieces
from tests.examples import examples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = 6
EVERYTHING = Coverage(0, frozenset(), 0, 0, DAYS * 24)


def at(minutes: float) -> datetime:
    return EPOCH + timedelta(minutes=minutes)


def hours(*instants: float) -> list[datetime]:
    return [at(60 * instant) for instant in instants]


coverages = st.builds(
    Coverage,
    since_hour=st.integers(0, DAYS * 24),
    strays=st.frozensets(st.sampled_from([24 * day for day in range(DAYS)]), max_size=3),
    pending_events=st.just(0),
    first_hour=st.just(0),
    last_hour=st.just(DAYS * 24),
)
edges_ = st.lists(st.integers(0, DAYS * 24 * 4), min_size=2, max_size=6, unique=True).map(
    lambda quarters: [at(15 * quarter) for quarter in sorted(quarters)]
)


@examples(500)
@given(edges=edges_, coverage=coverages)
def test_blocks_and_raw_ranges_are_the_range_cut_where_rollups_are_right(
    edges: Sequence[datetime], coverage: Coverage
) -> None:
    pieces = Pieces(edges, coverage)
    parts = list(pieces.raw_ranges)
    for block in pieces.blocks:
        begin, end = hours(block.starts.start, block.end_hour)
        assert edges[block.bucket] <= begin < end <= edges[block.bucket + 1]
        for hour in range(block.starts.start, block.end_hour):
            assert coverage.has(hour)
            assert pieces.bucket_of(hour) == block.bucket
        assert block.span == HOUR_SPAN or (block.starts.start % 24, len(block.starts)) == (0, 1)
        parts.append((begin, end))
    parts.sort()
    assert (parts[0][0], parts[-1][1]) == (edges[0], edges[-1])
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    for start, end in pieces.raw_ranges:
        whole = [hour for hour in range(DAYS * 24) if hours(hour)[0] >= start]
        whole = [hour for hour in whole if hours(hour + 1)[0] <= end]
        assert not any(map(coverage.has, whole))


def test_a_whole_day_is_one_block_and_hours_before_and_after_it_are_blocks_too() -> None:
    pieces = Pieces(hours(22.5, 50.25), EVERYTHING)
    assert pieces.blocks == [
        Block(0, HOUR_SPAN, range(23, 24)),
        Block(0, DAY_SPAN, range(24, 25)),
        Block(0, HOUR_SPAN, range(48, 50)),
    ]
    assert pieces.raw_ranges == [(*hours(22.5, 23),), (*hours(50, 50.25),)]


def test_hours_that_follow_each_other_over_midnight_are_one_block_and_two_buckets_are_two() -> None:
    assert Pieces(hours(20, 28), EVERYTHING).blocks == [Block(0, HOUR_SPAN, range(20, 28))]
    assert Pieces(hours(20, 24, 28), EVERYTHING).blocks == [
        Block(0, HOUR_SPAN, range(20, 24)),
        Block(1, HOUR_SPAN, range(24, 28)),
    ]


@pytest.mark.parametrize(("raw_hours", "mostly"), [(12, False), (12.25, True)])
def test_a_quarter_of_a_range_may_be_raw_and_no_more(raw_hours: float, mostly: bool) -> None:
    coverage = Coverage(24, frozenset(), 0, 0, DAYS * 24)
    assert Pieces(hours(24 - raw_hours, 60), coverage).mostly_raw is mostly


def test_of_all_time_only_what_holds_events_is_looked_at() -> None:
    coverage = Coverage(0, frozenset(), 0, 48, 72, earliest=at(60 * 48 + 30))
    pieces = Pieces([FIRST_EVENT, *hours(1000)], coverage)
    assert pieces.blocks == [
        Block(0, DAY_SPAN, range(48, 49)),
        Block(0, DAY_SPAN, range(72, 73)),
    ]
    assert pieces.raw_ranges == []
    assert not pieces.mostly_raw


def test_an_hour_outside_of_the_range_or_of_what_rollups_cover_has_no_bucket() -> None:
    coverage = Coverage(10, frozenset({24}), 0, 0, DAYS * 24)
    pieces = Pieces(hours(8.5, 22, 60.5), coverage)
    asked = (8, 9, 10, 21, 22, 24, 47, 48, 59, 60)
    assert [pieces.bucket_of(hour) for hour in asked] == [
        None, None, 0, 0, 1, None, None, 1, 1, None,
    ]  # fmt: skip


def test_stray_days_are_looked_for_where_a_bucket_is_and_nowhere_else() -> None:
    def seconds(days: int) -> float:
        coverage = Coverage(0, frozenset(range(0, days * 24, 24)), 0, 0, days * 24)
        edges = hours(*range(0, days * 24, 8))
        began = time.thread_time()
        assert Pieces(edges, coverage).blocks == []
        return time.thread_time() - began

    few, many = (min(seconds(days) for _ in range(3)) for days in (100, 1_600))
    assert many < 40 * few  # 16 times as many days
