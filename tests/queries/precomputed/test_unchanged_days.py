"""Cached counts and numbers of raw rows: against the oracle while events come; and limits."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock, patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.derived.instants import DAY_SPAN, HOUR_SPAN
from analytics.errors import Unavailable
from analytics.queries.precomputed import summaries, unchanged_days
from analytics.queries.precomputed.pieces import Block, Coverage
from tests.examples import examples
from tests.queries import oracle
from tests.queries.oracle import Trend
from tests.queries.precomputed.numbers import WEEK, nothing_but_summaries, total_of
from tests.queries.questions.trends.test_trends import assert_same
from tests.queries.simple import row
from tests.queries.storing import Batches, Storer, batches, rows_of
from tests.queries.streams import questions, streams, written

FILTERED = (*WEEK, ("where", "metadata.n.gte.1"))
USERS = ("measure", "users")


pytestmark = pytest.mark.usefixtures("rather_precomputed")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Trend, Batches, bool]:
    asked = replace(draw(questions()), measure=(draw(st.sampled_from(["count", "users"])), None))
    return asked, draw(batches(draw(streams(asked)))), draw(st.booleans())


@examples(100)
@given(case=cases())
async def test_what_is_remembered_of_any_filter_is_what_a_plain_count_says(
    storer: Storer, case: tuple[Trend, Batches, bool]
) -> None:
    asked, batches, tended = case
    await storer.empty()
    for rows, compact in batches:
        await storer.write(rows)
        if compact:
            await storer.store.compact()
        await storer.ask("/trends", *written(asked))
    if tended:
        await storer.tend()
    for _ in range(2):
        answer = await storer.ask("/trends", *written(asked))
        assert_same(answer["data"], oracle.trends(rows_of(batches), asked), asked)


@pytest.fixture
async def filled(storer: Storer) -> Storer:
    """Two weeks, compacted; u0 to u4 take turns."""
    await storer.empty()
    days = [datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=day) for day in range(14)]
    await storer.write(
        [row(f"{day:%Y-%m-%d}T12:30", f"u{day.day % 5}", k="a", n=day.day % 2) for day in days]
    )
    await storer.store.compact()
    return storer


counts = unchanged_days.counts


@pytest.fixture
def counted() -> Iterator[Mock]:
    """Statements that count raw rows of unchanged days."""
    with patch.object(unchanged_days, "counts", wraps=counts) as counted:
        yield counted


async def total(storer: Storer, *parameters: tuple[str, str]) -> Any:
    return (await storer.ask("/trends", *FILTERED, *parameters))["data"]["series"][0]["total"]


@pytest.mark.parametrize("measure", ["count", "users"])
async def test_raw_rows_of_a_day_are_read_once(filled: Storer, counted: Mock, measure: str) -> None:
    assert [await total(filled, ("measure", measure)) for _ in range(3)] == [4, 4, 4]
    assert counted.call_count == 1


async def test_people_are_read_where_only_counts_were(filled: Storer, counted: Mock) -> None:
    assert (await total(filled), await total(filled, USERS), await total(filled)) == (4, 4, 4)
    assert counted.call_count == 2


@pytest.mark.parametrize("compacted", [True, False])
async def test_an_event_that_comes_late_counts(filled: Storer, compacted: bool) -> None:
    before = await total(filled)
    await filled.write([row("2026-10-07T03:00", "late", n=2)])
    if compacted:
        await filled.store.compact()
    assert await total(filled) == before + 1


async def test_a_deleted_row_does_not_count(filled: Storer) -> None:
    before = await total(filled)
    await filled.connection.execute("delete from raw_events where timestamp = '2026-10-07T12:30Z'")
    assert await total(filled) == before - 1


async def test_cached_cells_hold_actors_so_that_identity_may_change(
    filled: Storer, counted: Mock
) -> None:
    await filled.write(
        [
            row("2026-10-06T12:30", session="visit", n=1),
            row("2026-10-07T12:30", session="visit", n=1),
        ]
    )
    await filled.store.compact()
    before = await total(filled, USERS)
    link: dict[str, Any] = {"$anonymous_id": "visit", "n": 0}
    await filled.write([row("2026-10-20T12:30", "u1", event="identify:identify", **link)])
    assert await total(filled, USERS) == before - 1
    await filled.write([row("2026-10-19T12:30", "u9", event="identify:identify", **link)])
    await filled.store.compact()
    assert await total(filled, USERS) == before
    assert counted.call_count == 1


async def test_other_filters_are_other_questions(filled: Storer) -> None:
    await total(filled)
    assert (
        await total(filled, ("where", "user_id.eq.u2"))
        == await total(filled, ("where", "user_id.eq.u2"), ("event", "*"))
        == 1
    )
    assert await total(filled, ("where", "metadata.n.gte.2")) == 0


async def test_a_dimension_of_more_values_than_can_be_kept_is_counted_by_the_database(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged_days, "MAX_VALUES", 0)
    assert await total(filled) == 4


async def test_a_question_that_takes_too_long_goes_on_where_it_was(
    filled: Storer, counted: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged_days, "MAX_HOURS", 24)
    statement = counts

    def counts_until_late(*arguments: Any) -> Any:
        if counted.call_count == 2:
            monkeypatch.setattr("analytics.queries.database.snapshot.STATEMENT_SECONDS", -1)
        return statement(*arguments)

    counted.side_effect = counts_until_late
    with pytest.raises(Unavailable, match="goes on from there") as error:
        await total(filled)
    assert (error.value.code, counted.call_count) == ("too_slow", 2)
    monkeypatch.undo()
    counted.side_effect = statement
    assert await total(filled) == 4
    read = [block.starts.start for call in counted.call_args_list for block in call.args[1]]
    assert len(read) == len(set(read)) == 7


def test_units_are_read_in_runs_without_gaps_that_are_not_too_long() -> None:
    days = [Block(day, DAY_SPAN, range(24 * day, 24 * day + 1)) for day in (*range(10), 11)]
    hours = Block(12, HOUR_SPAN, range(24 * 12, 24 * 12 + 5))
    assert [
        [block.bucket for block in run] for run in unchanged_days.runs([hours, *reversed(days)])
    ] == [[*range(7)], [7, 8, 9], [11, 12]]


def test_days_that_deltas_touch_are_not_covered() -> None:
    delta = Mock(groups=[Mock(hour=24 * 3 + 5), Mock(hour=24 * 4)])
    coverage = Coverage(0, frozenset({24}), 2, 0, 240)
    assert unchanged_days.without_pending(coverage, [delta]).strays == {24, 72, 96}


# numbers


number_summaries = unchanged_days.number_summaries


@pytest.fixture
def summarized() -> Iterator[Mock]:
    """Statements that summarize numbers of unchanged days."""
    with patch.object(unchanged_days, "number_summaries", wraps=number_summaries) as summarized:
        yield summarized


@pytest.mark.parametrize("names", [("sum", "avg", "min", "max"), ("p50", "p90", "p95", "p99")])
async def test_numbers_of_a_day_are_read_once_for_all_measures_of_a_kind(
    fortnight: Storer, summarized: Mock, names: Sequence[str]
) -> None:
    for name in [*names, *names]:
        await total_of(fortnight, name)
    assert summarized.call_count == 1


async def test_different_fields_and_filters_are_remembered_apart(
    fortnight: Storer, summarized: Mock
) -> None:
    await fortnight.write([row("2026-10-06T12:30", "u9", n=100, m=1000)])
    await fortnight.store.compact()
    for _ in range(2):
        assert (
            await total_of(fortnight, "sum"),
            await total_of(fortnight, "max"),
            await total_of(fortnight, "p50"),
        ) == (156, 100, 8.5)
        assert await total_of(fortnight, "sum", ("where", "user_id.eq.u9")) == 100
        answer = await fortnight.ask("/trends", *WEEK, ("measure", "sum:metadata.m"))
        assert answer["data"]["series"][0]["total"] == 1000
    assert summarized.call_count == 4


@pytest.mark.parametrize("name", ["sum", "p99"])
@pytest.mark.parametrize("compacted", [True, False])
async def test_a_number_that_comes_late_counts(
    fortnight: Storer, name: str, compacted: bool
) -> None:
    await total_of(fortnight, name)
    await fortnight.write([row("2026-10-07T03:00", "late", n=1000)])
    if compacted:
        await fortnight.store.compact()
    assert await total_of(fortnight, name) == pytest.approx(
        {"sum": 56 + 1000, "p99": 11 + 0.93 * 989}[name]
    )


@pytest.mark.parametrize("name", ["sum", "p50"])
@pytest.mark.parametrize("tended", [True, False])
async def test_an_erased_number_does_not_count(fortnight: Storer, name: str, tended: bool) -> None:
    before = await total_of(fortnight, name)
    await fortnight.connection.execute(
        "delete from raw_events where timestamp = '2026-10-11T12:30Z'"
    )
    if tended:
        await fortnight.tend()
    assert (before, await total_of(fortnight, name)) == {"sum": (56, 45), "p50": (8, 7.5)}[name]


async def test_identity_does_not_change_sums_of_numbers(
    fortnight: Storer, summarized: Mock
) -> None:
    before = await total_of(fortnight, "sum")
    await fortnight.write(
        [row("2026-10-20T12:30", "u1", event="identify:identify", **{"$anonymous_id": "s"})]
    )
    await fortnight.store.compact()
    assert await total_of(fortnight, "sum") == before
    assert summarized.call_count == 1


async def test_more_groups_than_can_be_kept_are_left_to_the_database(
    fortnight: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fortnight.write([row("2026-10-07T12:30", k="other", n=1)])
    await fortnight.store.compact()
    monkeypatch.setattr(unchanged_days, "MAX_VALUES", 1)
    by_group = [*WEEK, ("measure", "sum:metadata.n"), ("by", "metadata.k")]
    with nothing_but_summaries(), pytest.raises(AssertionError):
        await fortnight.ask("/trends", *by_group)
    answer = await fortnight.ask("/trends", *by_group)
    assert sum(line["total"] for line in answer["data"]["series"]) == 57


async def test_more_numbers_than_can_be_kept_are_left_to_the_database_and_read_for_nothing_no_more(
    fortnight: Storer, summarized: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fortnight.write(
        [row("2026-10-07T03:00", k="other", n=1000), row("2026-10-07T03:00:01", n=1000)]
    )
    await fortnight.store.compact()
    monkeypatch.setattr(unchanged_days, "MAX_HOURS", 24)
    monkeypatch.setattr(summaries, "MAX_NUMBERS", 1)
    assert [await total_of(fortnight, "p50") for _ in range(2)] == [9, 9]
    assert summarized.call_count == 3
    for by in ([], [("by", "metadata.k")]):
        with nothing_but_summaries(), pytest.raises(AssertionError):
            await total_of(fortnight, "p50", *by)
    answer = await fortnight.ask(
        "/trends", *WEEK, ("measure", "p50:metadata.n"), ("by", "metadata.k")
    )
    assert answer["data"]["series"][0]["total"] == 1000
