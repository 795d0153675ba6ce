"""Retention, lifecycle, stickiness and breakdown on rollups: against the oracle; and the cache."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.precomputed import pieces
from analytics.queries.questions.trends.precomputed_lines import CountLines
from analytics.queries.questions.trends.trends import Measured
from tests.examples import examples
from tests.queries import journeys, oracle_breakdown, oracle_lives, oracle_retention
from tests.queries.asker import WATERMARK
from tests.queries.oracle import Trend
from tests.queries.oracle_breakdown import Breakdown
from tests.queries.oracle_retention import Retention, periods
from tests.queries.questions.retention import test_retention
from tests.queries.questions.test_sessions import passing
from tests.queries.simple import row
from tests.queries.storing import (
    Batches,
    Storer,
    all_text,
    batches,
    few_or_many,
    fields,
    rows_of,
    wheres,
)
from tests.queries.streams import questions, ranges, streams, written_field, written_filters

several = examples(60)

Parameters = list[tuple[str, str]]


pytestmark = pytest.mark.usefixtures("rather_precomputed")


async def stored_and_asked(
    storer: Storer, batches: Batches, tended: bool, path: str, parameters: Parameters
) -> Any:
    await storer.write_while_asked(batches, tended, path, parameters)
    return await storer.ask(path, *parameters)


@st.composite
def lives(draw: st.DrawFn) -> tuple[Trend, Batches, bool]:
    asked = replace(draw(questions()), by=None, compare=False, rolling=4, where=draw(wheres))
    return asked, draw(batches(draw(streams(asked, draw(few_or_many))))), draw(st.booleans())


@several
@given(case=lives())
async def test_lifecycles_of_rollups_are_what_looking_at_each_person_says(
    storer: Storer, case: tuple[Trend, Batches, bool]
) -> None:
    asked, batches, tended = case
    answer = await stored_and_asked(
        storer,
        batches,
        tended,
        "/lifecycle",
        [*written_filters(asked), ("interval", asked.interval)],
    )
    data = answer["data"] | {
        "times": [datetime.fromisoformat(time) for time in answer["data"]["times"]]
    }
    assert data == oracle_lives.lifecycle(
        passing(rows_of(batches), asked), asked.start, asked.end, asked.interval, asked.zone
    )
    assert answer["meta"]["source"] == "rollup" or (asked.where and not all_text(batches))


@several
@given(case=lives())
async def test_stickiness_of_rollups_is_what_looking_at_each_person_says(
    storer: Storer, case: tuple[Trend, Batches, bool]
) -> None:
    asked, batches, tended = case
    answer = await stored_and_asked(
        storer,
        batches,
        tended,
        "/stickiness",
        [*written_filters(asked), ("interval", asked.interval)],
    )
    assert answer["data"] == oracle_lives.stickiness(
        passing(rows_of(batches), asked), asked.start, asked.end, asked.interval, asked.zone
    )
    assert answer["meta"]["source"] == "rollup" or (asked.where and not all_text(batches))


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[Retention, Batches, bool]:
    zone, period, start, end = draw(
        ranges().filter(lambda drawn: drawn[1] in ("day", "week", "month"))
    )
    starting, returning = (draw(journeys.pairs | st.just(oracle_retention.ANY)) for _ in range(2))
    mode, bound = (
        draw(st.sampled_from(["first", "recurring"])),
        draw(st.sampled_from(["on", "after"])),
    )
    asked = Retention(
        start,
        end,
        zone,
        period,
        draw(st.integers(1, 3)),
        starting,
        returning,
        mode,
        bound,
        draw(wheres),
    )
    edges, _ = periods(asked)
    instants = [start, end, *edges, edges[0] - timedelta(days=40), edges[-1] + timedelta(days=1)]
    return (
        asked,
        draw(batches(draw(journeys.rows(instants, 30, draw(few_or_many))))),
        draw(st.booleans()),
    )


@several
@given(case=cohorts())
async def test_retention_of_rollups_is_what_sets_of_people_say(
    storer: Storer, case: tuple[Retention, Batches, bool]
) -> None:
    asked, batches, tended = case
    answer = await stored_and_asked(
        storer, batches, tended, "/retention", test_retention.written(asked)
    )
    answer_cohorts = [
        oracle_retention.Cohort(date.fromisoformat(one["start"]), one["counts"])
        for one in answer["data"]["cohorts"]
    ]
    assert answer_cohorts == oracle_retention.retention(rows_of(batches), asked, WATERMARK)
    assert answer["meta"]["source"] == "rollup" or (asked.where and not all_text(batches))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Parameters, Breakdown, Batches, bool]:
    trend = replace(draw(questions()), by=None, compare=False, rolling=1, where=draw(wheres))
    names = draw(st.lists(st.sampled_from(["count", "users"]), min_size=1, max_size=3))
    by = tuple(draw(st.lists(fields, min_size=1, max_size=3)))
    columns = [*map(written_field, by), *names]
    sort = draw(st.none() | st.tuples(st.sampled_from(columns).map(columns.index), st.booleans()))
    measures = tuple((name, None) for name in names)
    asked = Breakdown(
        trend.start, trend.end, by, measures, trend.pairs, trend.where, trend.limit, sort
    )
    written = [
        *written_filters(trend),
        ("by", ",".join(columns[: len(by)])),
        ("measure", ",".join(names)),
        ("limit", str(asked.limit)),
    ]
    written += [("sort", "-" * sort[1] + columns[sort[0]])] if sort else []
    return (
        written,
        asked,
        draw(batches(draw(streams(trend, draw(few_or_many))))),
        draw(st.booleans()),
    )


@several
@given(case=tables())
async def test_breakdowns_of_rollups_are_what_a_plain_count_says(
    storer: Storer, case: tuple[Parameters, Breakdown, Batches, bool]
) -> None:
    parameters, asked, batches, tended = case
    answer = await stored_and_asked(storer, batches, tended, "/breakdown", parameters)
    rows, total = oracle_breakdown.breakdown(rows_of(batches), asked)
    assert (answer["data"]["rows"], answer["data"]["total_rows"]) == (rows, total)
    paths = {
        *(path for path in asked.by if path[0] == "metadata"),
        *(condition.path for condition in asked.where),
    }
    assert (
        answer["meta"]["source"] == "rollup" or len(paths) > 1 or (paths and not all_text(batches))
    )


# which questions


WEEK = (("from", "2026-10-05"), ("to", "2026-10-12"))


@pytest.fixture
async def filled(storer: Storer) -> Storer:
    """Six weeks, compacted; u0 to u4 take turns, and only k is of text alone."""
    await storer.empty()
    days = [datetime(2026, 9, 7, tzinfo=UTC) + timedelta(days=day) for day in range(42)]
    await storer.write(
        [
            row(
                f"{day:%Y-%m-%d}T{hour:02}:30",
                f"u{day.day % 5}",
                k="a",
                é="b" if day.day % 2 else 1,
            )
            for day in days
            for hour in (0, 12, 23)
        ]
    )
    await storer.store.compact()
    return storer


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        ("/retention", [], "rollup"),
        (
            "/retention",
            [("start", "e:a"), ("return", "*:b"), ("where", "metadata.k.eq.a")],
            "rollup",
        ),
        ("/retention", [("event", "e"), ("start", "e")], "rollup"),
        ("/retention", [("event", "e"), ("start", "e:a")], "raw"),
        ("/retention", [("where", "user_id.eq.u1")], "raw"),
        ("/lifecycle", [("event", "e"), ("tz", "Europe/Berlin")], "rollup"),
        ("/lifecycle", [("where", "metadata.é.eq.b")], "raw"),
        ("/stickiness", [("interval", "hour")], "rollup"),
        ("/stickiness", [("where", "metadata.k.re.a")], "raw"),
        ("/breakdown", [("by", "event_type"), ("measure", "users,count")], "rollup"),
        ("/breakdown", [("by", "metadata.k")], "rollup"),
        ("/breakdown", [("by", "metadata.é")], "raw"),
        ("/breakdown", [("by", "metadata.k"), ("measure", "count,sessions")], "raw"),
        ("/breakdown", [("by", "event_type,event_action")], "rollup"),
        (
            "/breakdown",
            [("by", "metadata.k,event_type"), ("measure", "users"), ("where", "metadata.k.ne.b")],
            "rollup",
        ),
        ("/breakdown", [("by", "metadata.k,metadata.é")], "raw"),
        ("/breakdown", [("by", "event_type,user_id")], "raw"),
    ],
)
async def test_the_planner_says_what_it_picked(
    filled: Storer, path: str, parameters: Parameters, expected: str
) -> None:
    assert (await filled.ask(path, *WEEK, *parameters))["meta"]["source"] == expected


@pytest.mark.parametrize("path", ["/retention", "/lifecycle"])
async def test_people_of_long_ago_are_looked_for_in_raw_rows_where_rollups_begin_later(
    filled: Storer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MAX_RAW_SHARE", 0.25)
    whole = await filled.ask(path, *WEEK)
    starts = {
        name: int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() // 3600)
        for name, day in (("few", "2026-09-08"), ("many", "2026-09-28"))
    }
    for raw, source in (("few", "rollup"), ("many", "raw")):
        await filled.connection.execute("update rollup_since set start = $1", starts[raw])
        await filled.connection.execute("delete from rollups where start < $1", starts[raw])
        answer = await filled.ask(path, *WEEK)
        assert answer["meta"]["source"] == source
        assert answer["data"] == whole["data"]


async def test_what_may_be_millions_of_values_is_not_put_together_on_the_event_loop(
    filled: Storer,
) -> None:
    threads: set[int] = set()

    def seen(function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            threads.add(threading.get_ident())
            return function(*arguments)

        return watched

    with (
        patch.object(CountLines, "_measure", seen(CountLines._measure)),
        patch.object(Measured, "of", seen(Measured.of)),
    ):
        by_hour = [("by", "metadata.k"), ("measure", "users"), ("interval", "hour")]
        answer = await filled.ask("/trends", *WEEK, *by_hour, ("compare", "previous"))
    assert answer["meta"]["source"] == "rollup"
    assert threads
    assert threading.get_ident() not in threads


async def test_a_last_hour_that_is_not_over_needs_raw_rows_only_if_events_come_later_in_it(
    filled: Storer,
) -> None:
    async def users(until: str) -> Any:
        answer = await filled.ask(
            "/trends", ("from", "2026-10-11"), ("to", until), ("measure", "count")
        )
        return answer["data"]["series"][0]["total"]

    with patch(
        "analytics.queries.precomputed.rollup.statements.raw_counts", side_effect=AssertionError
    ):
        assert await users("2026-10-11T12:31") == 2
    assert await users("2026-10-11T12:30") == 1


# order


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("users", ["b", "", "a", None]),
        ("-users", ["", "a", None, "b"]),
        ("-metadata.k", ["b", "a", "", None]),
    ],
)
async def test_equal_groups_of_a_breakdown_are_in_code_point_order_and_the_missing_value_is_last(
    storer: Storer, sort: str, expected: list[str | None]
) -> None:
    await storer.empty()
    values = {"k": None}, {"k": "a"}, {"k": ""}
    await storer.write(
        [row("2026-10-06", user, **metadata) for metadata in values for user in "uv"]
        + [row("2026-10-06", "u", k="b")]
    )
    answer = await storer.ask(
        "/breakdown", *WEEK, ("by", "metadata.k"), ("measure", "users"), ("sort", sort)
    )
    assert answer["meta"]["source"] == "rollup"
    assert [group for group, _ in answer["data"]["rows"]] == expected


# memory


async def active(storer: Storer, *parameters: tuple[str, str]) -> list[int]:
    """Events a day, in a zone whose days are put together from hours."""
    values: list[int] = (await storer.ask("/trends", *WEEK, ("tz", "Asia/Tokyo"), *parameters))[
        "data"
    ]["series"][0]["values"]
    return values


async def test_what_is_remembered_is_not_read_again(filled: Storer) -> None:
    first = await active(filled)
    with patch(
        "analytics.queries.precomputed.rollup.statements.rollup_rows", side_effect=AssertionError
    ):
        assert await active(filled) == first
    await filled.write([row("2026-10-06T12:00", "somebody")])
    await filled.store.compact()
    assert sum(await active(filled)) == sum(first) + 1


async def test_what_was_erased_and_rebuilt_is_not_remembered(filled: Storer) -> None:
    """Not even if it is as many parts of the same hours as before."""
    await filled.write(
        [row(f"2026-10-0{day}T12:45", user) for day in (6, 7) for user in ("v", "w")]
    )
    await filled.store.compact()
    await filled.tend()
    first = await active(filled)
    for gone, user in enumerate("vw", 1):
        await filled.connection.execute("delete from raw_events where user_id = $1", user)
        await filled.tend()
        assert await filled.connection.fetchval("select count(*) from rollup_strays") == 0
        assert sum(await active(filled)) == sum(first) - 2 * gone


async def test_what_is_remembered_of_one_question_does_not_answer_another(filled: Storer) -> None:
    await filled.write(
        [
            row("2026-10-06T12:00", "u", event="e:b", k="b"),
            row("2026-10-06T12:00", "u", event="f:a"),
        ]
    )
    await filled.store.compact()
    expected = {
        ("by", "event_type"): [4, 1],
        ("by", "event_action"): [4, 1],
        ("by", "metadata.k"): [3, 1, 1],
        ("event", "e"): [4],
        ("event", "e:b"): [1],
        ("event", "f"): [1],
        ("event", "*"): [5],
        ("where", "metadata.k.eq.b"): [1],
    }
    for parameter, totals in expected.items():
        answer = await filled.ask(
            "/trends", ("from", "2026-10-06"), ("to", "2026-10-07"), parameter
        )
        assert [series["total"] for series in answer["data"]["series"]] == totals


async def test_no_two_parts_ever_have_the_same_number(filled: Storer) -> None:
    async def numbers() -> set[int]:
        return {
            record["part"]
            for record in await filled.connection.fetch(
                "select distinct part from rollups where span = 24"
            )
        }

    seen = await numbers()
    for _ in range(3):
        await filled.write([row("2026-10-06T12:00", "somebody")])
        await filled.store.compact()
        added = await numbers() - seen
        await filled.connection.execute("delete from raw_events where user_id = 'u1'")
        await filled.tend()
        rebuilt = await numbers() - seen - added
        assert added
        assert rebuilt
        seen |= added | rebuilt
