"""Retention: against the oracle over random rows, and the docs sentence by sentence.

The rows are around days on which clocks change.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions.retention.retention import Retention as RetentionQuery
from tests.examples import examples
from tests.queries import journeys, oracle_retention
from tests.queries.asker import WATERMARK, Asker
from tests.queries.journeys import written_range
from tests.queries.oracle import Row
from tests.queries.oracle_retention import Retention, periods
from tests.queries.simple import row
from tests.queries.streams import ranges, written_condition, written_pairs

several = examples(100)


def written(asked: Retention) -> list[tuple[str, str]]:
    names = [
        ("start", written_pairs(asked.starting)),
        ("return", written_pairs(asked.returning)),
        ("mode", asked.mode),
        ("bound", asked.bound),
    ]
    parameters = [
        *written_range(asked.start, asked.end, asked.zone),
        *names,
        ("period", asked.period),
        ("periods", str(asked.periods)),
    ]
    return [*parameters, *(("where", written_condition(condition)) for condition in asked.where)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Retention, list[Row]]:
    zone, period, start, end = draw(
        ranges().filter(lambda drawn: drawn[1] in ("day", "week", "month"))
    )
    asked = Retention(
        start,
        end,
        zone,
        period,
        draw(st.integers(1, 3)),
        draw(journeys.pairs | st.just(oracle_retention.ANY)),
        draw(journeys.pairs | st.just(oracle_retention.ANY)),
        draw(st.sampled_from(["first", "recurring"])),
        draw(st.sampled_from(["on", "after"])),
        draw(journeys.wheres),
    )
    edges, _ = periods(asked)
    return asked, draw(
        journeys.rows(
            [start, end, *edges, edges[0] - timedelta(days=40), edges[-1] + timedelta(days=1)],
            most=30,
        )
    )


@several
@given(case=cases())
async def test_retention_is_what_sets_of_people_say(
    asker: Asker, case: tuple[Retention, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    cohorts = (await asker.ask("/retention", *written(asked)))["data"]["cohorts"]
    assert [
        oracle_retention.Cohort(date.fromisoformat(one["start"]), one["counts"]) for one in cohorts
    ] == oracle_retention.retention(rows, asked, WATERMARK)
    assert [one["size"] for one in cohorts] == [one["counts"][0] for one in cohorts]


# the sentences


async def ask(asker: Asker, *parameters: tuple[str, str]) -> Any:
    """The cohorts of three days in November, two periods ahead, each as its start and counts."""
    days = (("from", "2026-11-02"), ("to", "2026-11-05")) if "from" not in dict(parameters) else ()
    cohorts = (await asker.ask("/retention", *days, ("periods", "2"), *parameters))["data"][
        "cohorts"
    ]
    return {cohort["start"]: cohort["counts"] for cohort in cohorts}


async def test_every_period_that_overlaps_the_range_is_a_cohort_be_it_empty(asker: Asker) -> None:
    await asker.hold([])
    assert await ask(asker) == {
        "2026-11-02": [0, 0, 0],
        "2026-11-03": [0, 0, 0],
        "2026-11-04": [0, 0, 0],
    }
    weeks = await ask(
        asker, ("from", "2026-10-28"), ("to", "2026-11-02T00:00:00.000001"), ("period", "week")
    )
    assert list(weeks) == ["2026-10-26", "2026-11-02"]
    assert list(
        await ask(asker, ("from", "2026-10-31"), ("to", "2026-11-02"), ("period", "month"))
    ) == ["2026-10-01", "2026-11-01"]


async def test_the_start_of_a_cohort_is_its_local_date(asker: Asker) -> None:
    await asker.hold([row("2026-11-01T18:15", "u"), row("2026-11-01T18:14:59.999999", "v")])
    cohorts = await ask(
        asker, ("from", "2026-11-02"), ("to", "2026-11-03"), ("tz", "Asia/Kathmandu")
    )
    assert cohorts == {"2026-11-02": [1, 0, 0]}


async def test_only_start_rows_in_the_range_make_members(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02T05:59:59", "u"),
            row("2026-11-02T06:00", "v"),
            row("2026-11-02T18:00", "w"),
        ]
    )
    cohorts = await ask(
        asker, ("from", "2026-11-02T06:00"), ("to", "2026-11-02T18:00"), ("mode", "recurring")
    )
    assert cohorts == {"2026-11-02": [1, 0, 0]}


async def test_at_first_a_member_has_never_started_before_not_even_before_the_range(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            row("2026-09-01", "u"),
            row("2026-11-02", "u"),
            row("2026-11-02", "v"),
            row("2026-11-03", "v"),
        ]
    )
    assert await ask(asker) == {
        "2026-11-02": [1, 1, 0],
        "2026-11-03": [0, 0, 0],
        "2026-11-04": [0, 0, 0],
    }


async def test_recurring_members_belong_to_every_period_in_which_they_start(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-09-01", "u"),
            row("2026-11-02", "u"),
            row("2026-11-02", "v"),
            row("2026-11-03", "v"),
        ]
    )
    assert await ask(asker, ("mode", "recurring")) == {
        "2026-11-02": [2, 1, 0],
        "2026-11-03": [1, 0, 0],
        "2026-11-04": [0, 0, 0],
    }


async def test_the_filter_is_for_both_events_and_for_the_first_ever_too(asker: Asker) -> None:
    rows = [
        row("2026-11-02", "u", k="b"),
        row("2026-11-03", "u", k="a"),
        row("2026-11-04", "u", k="b"),
        row("2026-11-05", "u", k="a"),
    ]
    await asker.hold(rows)
    assert await ask(asker, ("where", "metadata.k.eq.a")) == {
        "2026-11-02": [0, 0, 0],
        "2026-11-03": [1, 0, 1],
        "2026-11-04": [0, 0, 0],
    }


async def test_starting_and_returning_are_events_of_their_own(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", "u", event="buy:x"),
            row("2026-11-03", "u", event="see:y"),
            row("2026-11-04", "u", event="buy:x"),
        ]
    )
    assert (await ask(asker, ("start", "buy"), ("return", "*:y")))["2026-11-02"] == [1, 1, 0]
    assert (await ask(asker, ("start", "see"), ("return", "buy")))["2026-11-03"] == [1, 1, 0]
    assert (await ask(asker, ("start", "see"), ("return", "buy")))["2026-11-02"] == [0, 0, 0]


async def test_on_counts_who_returns_in_that_period_even_beyond_the_range(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-04", "u"),
            row("2026-11-06T23:59:59.999999", "u"),
            row("2026-11-03", "v"),
            row("2026-11-06", "v"),
        ]
    )
    assert await ask(asker) == {
        "2026-11-02": [0, 0, 0],
        "2026-11-03": [1, 0, 0],
        "2026-11-04": [1, 0, 1],
    }


async def test_after_counts_who_returns_then_or_later_up_to_the_end_of_the_range(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            row("2026-11-02", "u"),
            row("2026-11-04T23:59:59", "u"),
            row("2026-11-02", "v"),
            row("2026-11-05", "v"),
        ]
    )
    assert (await ask(asker, ("bound", "after")))["2026-11-02"] == [2, 1, 1]
    assert (await ask(asker, ("bound", "on")))["2026-11-02"] == [2, 0, 1]


async def test_after_counts_what_lies_beyond_the_last_period_looked_at(asker: Asker) -> None:
    await asker.hold([row("2026-11-01", "u"), row("2026-11-06", "u")])
    cohorts = await ask(asker, ("from", "2026-11-01"), ("to", "2026-11-08"), ("bound", "after"))
    assert cohorts["2026-11-01"] == [1, 1, 1]


async def test_a_return_in_the_cohorts_own_period_is_no_return(asker: Asker) -> None:
    await asker.hold([row("2026-11-02T01:00", "u"), row("2026-11-02T02:00", "u")])
    assert (await ask(asker, ("bound", "after")))["2026-11-02"] == [1, 0, 0]


@pytest.mark.parametrize("bound", ["on", "after"])
async def test_a_period_that_begins_after_the_watermark_is_null(asker: Asker, bound: str) -> None:
    assert datetime(2026, 11, 23, 12, tzinfo=UTC) == WATERMARK
    await asker.hold([row("2026-11-22", "u"), row("2026-11-23", "u"), row("2026-11-24", "u")])
    cohorts = await ask(
        asker, ("from", "2026-11-22"), ("to", "2026-11-25"), ("bound", bound), ("mode", "recurring")
    )
    assert cohorts == {
        "2026-11-22": [1, 1, None],
        "2026-11-23": [1, None, None],
        "2026-11-24": [1, None, None],
    }
    at_noon = await ask(
        asker, ("from", "2026-11-22"), ("to", "2026-11-23"), ("bound", bound), ("tz", "Etc/GMT+12")
    )
    assert at_noon["2026-11-22"][1] is not None
    assert at_noon["2026-11-22"][2] is None


async def test_a_member_is_a_user_else_a_session(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", None, "x"),
            row("2026-11-03", "x", "y"),
            row("2026-11-02", "z", "w"),
            row("2026-11-03", None, "w"),
        ]
    )
    assert await ask(asker) == {
        "2026-11-02": [2, 1, 0],
        "2026-11-03": [1, 0, 0],
        "2026-11-04": [0, 0, 0],
    }


async def test_a_day_of_twenty_five_hours_is_one_period(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-10-24T22:00", "u"),
            row("2026-10-25T22:59:59", "u"),
            row("2026-10-25T23:00", "v"),
            row("2026-10-25T22:59", "v"),
        ]
    )
    cohorts = await ask(
        asker, ("from", "2026-10-25"), ("to", "2026-10-27"), ("tz", "Europe/Berlin")
    )
    assert cohorts == {"2026-10-25": [2, 1, 0], "2026-10-26": [0, 0, 0]}


async def test_a_day_that_samoa_skipped_is_no_period(asker: Asker) -> None:
    await asker.hold([row("2011-12-29T12:00-10:00", "u"), row("2011-12-31T12:00+14:00", "u")])
    assert await ask(
        asker, ("from", "2011-12-29"), ("to", "2012-01-01"), ("tz", "Pacific/Apia")
    ) == {"2011-12-29": [1, 1, 0], "2011-12-31": [0, 0, 0]}


async def test_another_projects_people_are_not_counted(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", "u")], project="shop")
    assert (await ask(asker))["2026-11-02"] == [0, 0, 0]
    assert (await ask(asker, ("project", "shop")))["2026-11-02"] == [1, 0, 0]


def test_a_retention_whose_last_period_is_not_over_is_recent() -> None:
    now = datetime.now(UTC)
    query = RetentionQuery(
        project="p", start=now - timedelta(days=3), end=now - timedelta(days=2), periods=7
    )
    assert query.until is not None
    assert query.until > now
