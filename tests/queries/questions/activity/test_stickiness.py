"""Stickiness: against the oracle over random streams, and the docs sentence by sentence."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from analytics.queries.questions.activity.stickiness import times_active
from tests.examples import examples
from tests.queries import oracle_lives
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.questions.activity.test_lifecycle import filtered
from tests.queries.questions.test_sessions import passing
from tests.queries.questions.trends.test_trends import several
from tests.queries.simple import DAYS, row
from tests.queries.streams import written_filters


@several
@given(case=filtered())
async def test_stickiness_is_what_counting_the_buckets_of_each_person_says(
    asker: Asker, case: tuple[Trend, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    data = (await asker.ask("/stickiness", *written_filters(asked), ("interval", asked.interval)))[
        "data"
    ]
    assert data == oracle_lives.stickiness(
        passing(rows, asked), asked.start, asked.end, asked.interval, asked.zone
    )


@examples(300)
@given(st.lists(st.sets(st.integers(0, 2**32 - 1) | st.integers(0, 20), max_size=20), max_size=40))
def test_times_active_counts_sets_one_by_one(sets: list[set[int]]) -> None:
    times = Counter(member for one in sets for member in one)
    assert dict(times_active([BitMap(one) for one in sets])) == Counter(times.values())


# the sentences


async def ask(asker: Asker, *parameters: tuple[str, str]) -> Any:
    return (
        await asker.ask(
            "/stickiness", *(DAYS if "from" not in dict(parameters) else ()), *parameters
        )
    )["data"]


async def test_people_are_counted_by_the_number_of_buckets_in_which_they_are_active(
    asker: Asker,
) -> None:
    days = {"u": ("02", "03", "04"), "v": ("02", "04"), "w": ("03", "03"), None: ("02", "03")}
    await asker.hold([row(f"2026-11-{day}T12:00", user) for user in days for day in days[user]])
    assert await ask(asker) == {"buckets": [1, 2, 3], "users": [1, 2, 1]}


async def test_only_rows_in_the_range_count(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02T11:59", "u"),
            row("2026-11-02T12:00", "v"),
            row("2026-11-03T12:00", "v"),
            row("2026-11-03T11:59", "u"),
        ]
    )
    assert await ask(asker, ("from", "2026-11-02T12:00"), ("to", "2026-11-03T12:00")) == {
        "buckets": [1, 2],
        "users": [2, 0],
    }


async def test_a_range_without_anybody_has_its_buckets_all_the_same(asker: Asker) -> None:
    await asker.hold([])
    assert await ask(asker) == {"buckets": [1, 2, 3], "users": [0, 0, 0]}


async def test_a_day_of_twenty_five_hours_is_one_bucket(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-10-24T22:00", "u"),
            row("2026-10-25T22:59:59", "u"),
            row("2026-10-25T23:00", "v"),
            row("2026-10-25T00:00", "v"),
        ]
    )
    assert (
        await ask(asker, ("from", "2026-10-25"), ("to", "2026-10-27"), ("tz", "Europe/Berlin"))
    )["users"] == [1, 1]
