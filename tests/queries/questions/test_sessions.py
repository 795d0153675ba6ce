"""Sessions: against the oracle over random streams, and the docs sentence by sentence."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions.sessions import _stats
from tests.queries import oracle_sessions
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend, is_event
from tests.queries.questions.trends.test_trends import equal, several
from tests.queries.simple import DAYS, row
from tests.queries.streams import questions, streams, written_filters


@st.composite
def filtered(draw: st.DrawFn) -> tuple[Trend, list[Row]]:
    """A range, an interval and filters, as often none; and rows."""
    asked = replace(draw(questions()), by=None, compare=False, rolling=1)
    asked = draw(st.sampled_from([asked, replace(asked, pairs=((None, None),), where=())]))
    return asked, draw(streams(asked))


def passing(rows: list[Row], asked: Trend) -> list[Row]:
    return [
        row
        for row in rows
        if is_event(row, asked.pairs) and all(condition.holds(row) for condition in asked.where)
    ]


@several
@given(case=filtered())
async def test_sessions_are_what_looking_at_each_says(
    asker: Asker, case: tuple[Trend, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    data = (await asker.ask("/sessions", *written_filters(asked), ("interval", asked.interval)))[
        "data"
    ]
    expected = oracle_sessions.sessions(
        passing(rows, asked), asked.start, asked.end, asked.interval, asked.zone
    )
    series, wanted = data.pop("series"), expected.pop("series")
    assert [*data] == [*expected]
    assert all(equal(data[name], expected[name]) for name in expected)
    assert [datetime.fromisoformat(time) for time in series["times"]] == [
        bucket["time"] for bucket in wanted
    ]
    for name in expected:
        assert len(series[name]) == len(wanted)
        assert all(
            equal(got, bucket[name]) for got, bucket in zip(series[name], wanted, strict=True)
        ), name


# the sentences


async def ask(asker: Asker, *parameters: tuple[str, str]) -> Any:
    return (
        await asker.ask("/sessions", *(DAYS if "from" not in dict(parameters) else ()), *parameters)
    )["data"]


async def test_filters_come_first_and_sessions_are_made_of_what_is_left(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02T10:00", k="a"),
            row("2026-11-02T10:10", k="b"),
            row("2026-11-02T10:30", k="a"),
        ]
    )
    assert (await ask(asker))["avg_s"] == 1800
    left = await ask(asker, ("where", "metadata.k.eq.b"))
    assert (left["sessions"], left["bounce_rate"], left["avg_s"]) == (1, 1, 0)


async def test_a_bounce_is_a_session_of_one_event_not_one_of_no_duration(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", session="s"),
            row("2026-11-02", session="t"),
            row("2026-11-02", session="t"),
        ]
    )
    assert (await ask(asker))["bounce_rate"] == 0.5


async def test_durations_are_last_minus_first_bounces_included(asker: Asker) -> None:
    times = {"s": ("10:00",), "t": ("10:00", "10:01", "10:02"), "u": ("10:00:00", "10:00:00.5")}
    await asker.hold(
        [row(f"2026-11-02T{time}", session=session) for session in times for time in times[session]]
    )
    answer = await ask(asker)
    assert (answer["avg_s"], answer["median_s"]) == (pytest.approx(120.5 / 3), 0.5)


async def test_the_median_interpolates(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", session="s"),
            row("2026-11-02T00:00", session="t"),
            row("2026-11-02T00:00:03", session="t"),
        ]
    )
    assert (await ask(asker))["median_s"] == 1.5


async def test_a_session_belongs_whole_to_the_bucket_of_its_first_row(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02T23:59"), row("2026-11-03T00:01"), row("2026-11-03T00:02", session="t")]
    )
    series = (await ask(asker))["series"]
    assert (series["sessions"], series["avg_s"], series["bounce_rate"]) == (
        [1, 1, 0],
        [120, 0, None],
        [0, 1, None],
    )


async def test_rows_outside_the_range_are_no_part_of_a_session(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-01T23:59"),
            row("2026-11-02T00:01"),
            row("2026-11-04T23:59"),
            row("2026-11-05T00:00"),
        ]
    )
    answer = await ask(asker)
    assert answer["avg_s"] == (3 * 24 * 60 - 2) * 60
    assert answer["series"]["sessions"] == [1, 0, 0]


async def test_users_are_the_distinct_actors_of_the_sessions_begun_there(asker: Asker) -> None:
    rows = [
        row("2026-11-02T23:00", None, "s"),
        row("2026-11-03T01:00", "u", "s"),
        row("2026-11-03T02:00", "u", "t"),
        row("2026-11-03T03:00", "v", "t"),
    ]
    await asker.hold(rows)
    answer = await ask(asker)
    assert (answer["users"], answer["series"]["users"]) == (3, [2, 2, 0])


async def test_without_sessions_counts_are_zero_and_rates_null(asker: Asker) -> None:
    await asker.hold([])
    nothing = {"sessions": 0, "users": 0, "bounce_rate": None, "avg_s": None, "median_s": None}
    answer = await ask(asker)
    assert {name: value for name, value in answer.items() if name != "series"} == nothing
    assert {name: values for name, values in answer["series"].items() if name != "times"} == {
        name: [value] * 3 for name, value in nothing.items()
    }


async def test_buckets_are_local_days_of_any_length(asker: Asker) -> None:
    await asker.hold(
        [row("2026-10-24T22:00"), row("2026-10-25T22:59:59"), row("2026-10-25T23:00", session="t")]
    )
    answer = await ask(asker, ("from", "2026-10-25"), ("to", "2026-10-27"), ("tz", "Europe/Berlin"))
    assert answer["series"]["times"] == ["2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"]
    assert (answer["series"]["sessions"], answer["series"]["avg_s"]) == ([1, 1], [89999, 0])


async def test_another_projects_sessions_are_not_counted(asker: Asker) -> None:
    await asker.hold([row("2026-11-02")], project="shop")
    assert (await ask(asker))["sessions"] == 0
    assert (await ask(asker, ("project", "shop")))["sessions"] == 1


def test_the_average_of_many_long_sessions_is_exact() -> None:
    """Of microseconds there are more than 64 bits hold."""
    year = 365 * 86_400 * 1_000_000
    assert _stats(np.full(400_000, year), np.zeros(400_000, bool), 1).avg_s == 365 * 86_400


async def test_packed_days_and_raw_rows_say_the_same_average_to_the_last_digit(
    asker: Asker,
) -> None:
    """PostgreSQL's `avg` stops after 16 digits, of which a double may hold one more."""
    lasted = [24_736_315_090] * 6 + [24_736_315_092]
    firsts = [row(f"2026-11-02T{hour:02}:00", session=f"s{hour}") for hour in range(7)]
    lasts = [
        replace(
            row("2026-11-02", session=first.session_id),
            timestamp=first.timestamp + timedelta(microseconds=more),
        )
        for first, more in zip(firsts, lasted, strict=True)
    ]
    await asker.hold([*firsts, *lasts])
    data = (await asker.ask("/sessions", *DAYS))["data"]
    assert _stats(np.array(lasted), np.zeros(7, bool), 1).avg_s == data["avg_s"]
