"""Days with too many names: rollups answer what asks for none, raw rows the rest, all exactly."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import metrics
from analytics.derived import cells
from analytics.queries.precomputed import statements, unchanged_days
from analytics.stores.upkeep import compaction, coverage, merger, recount
from tests.examples import examples
from tests.queries import oracle, oracle_schema
from tests.queries.oracle import Trend
from tests.queries.precomputed.test_rollup import cases
from tests.queries.questions.test_sessions import passing
from tests.queries.questions.trends.test_trends import assert_same
from tests.queries.simple import row
from tests.queries.storing import Batches, Storer, rows_of
from tests.queries.streams import written, written_filters
from tests.stores.upkeep.test_rollups import checked

several = examples(60)


@contextmanager
def limits(names: int, portion: int) -> Iterator[None]:
    """So many names a day; deltas and parts are added up in portions of so many cells."""
    with ExitStack() as stack:
        for module, name, value in (
            (cells, "MAX_NAMES", names),
            (merger, "MAX_NAMES", names),
            (compaction, "MAX_CELLS", portion),
            (merger, "MERGED_BYTES", portion),
            (recount, "MAX_CELLS", portion),
            (recount, "MAX_DAY_CELLS", 10 * portion),
            (recount, "CHUNK_ROWS", portion),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


portions = st.tuples(st.integers(0, 5), st.sampled_from([1, 5, 10**6]))


@several
@given(case=cases(), bounds=portions)
async def test_trends_are_what_a_plain_count_says(
    storer: Storer, case: tuple[Trend, Batches, bool], bounds: tuple[int, int]
) -> None:
    asked, batches, tended = case
    with limits(*bounds):
        await storer.write_while_asked(batches, tended, "/trends", written(asked))
        answer: Any = await storer.ask("/trends", *written(asked))
        assert_same(answer["data"], oracle.trends(rows_of(batches), asked), asked)
        await checked(storer.store)


@several
@given(case=cases(), bounds=portions)
async def test_schemas_are_what_counting_one_by_one_says(
    storer: Storer, case: tuple[Trend, Batches, bool], bounds: tuple[int, int]
) -> None:
    asked, batches, tended = case
    with limits(*bounds):
        await storer.write_while_asked(batches, tended, "/schema", written_filters(asked))
        answer: Any = await storer.ask("/schema", *written_filters(asked))
    rows = [row for row in rows_of(batches) if asked.start <= row.timestamp < asked.end]
    assert answer["data"] == oracle_schema.schema(passing(rows, asked))


RANGE = [("from", "2026-10-01"), ("to", "2026-10-11")]


@pytest.fixture
async def crowded(storer: Storer) -> AsyncIterator[Storer]:
    """Ten days of two names; on 5 October there are 40 more, a few in each transaction."""
    await storer.empty()
    with limits(20, 10**6):
        for day in range(1, 11):
            await storer.write([row(f"2026-10-{day:02}T{h:02}", f"u{h}", k="a") for h in (1, 2)])
        for at in range(10):
            names = [f"t{4 * at + n}:a" for n in range(4)]
            await storer.write(
                [row(f"2026-10-05T{at:02}", "u1", event=name, k="b") for name in names]
            )
            await storer.store.compact()
        yield storer


async def test_a_day_with_too_many_names_has_only_rows_over_all_names(crowded: Storer) -> None:
    named = "select distinct start / 24 - 20726 from rollups where event_type {} ''"
    days = await crowded.connection.fetch(named.format("<>"))
    assert sorted(day for (day,) in days) == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    days = await crowded.connection.fetch(named.format("="))
    assert sorted(day for (day,) in days) == [*range(1, 11)]


@pytest.mark.parametrize(
    ("parameters", "source", "total"),
    [
        ([], "rollup", 60),
        ([("by", "metadata.k")], "rollup", 40),
        ([("where", "metadata.k.eq.b")], "rollup", 40),
        ([("event", "e")], "rollup", 20),
        ([("event", "t3")], "rollup", 1),
        ([("by", "event_type")], "rollup", 20),
        ([("event", "t3"), ("from", "2026-10-05"), ("to", "2026-10-06")], "raw", 1),
        ([("from", "2026-10-05"), ("to", "2026-10-06")], "rollup", 42),
    ],
)
async def test_who_asks_for_no_names_is_answered_from_rollups_all_the_same(
    crowded: Storer, parameters: list[tuple[str, str]], source: str, total: int
) -> None:
    fixed = [] if "from" in dict(parameters) else RANGE
    answer = await crowded.ask("/trends", *fixed, *parameters)
    totals = [series["total"] for series in answer["data"]["series"]]
    assert (answer["meta"]["source"], max(totals)) == (source, total)


async def test_upkeep_does_not_rebuild_the_day_again_and_again_and_does_not_pack_it(
    crowded: Storer,
) -> None:
    day = (await crowded.connection.fetchval("select start from rollup_strays")) or 0
    for _ in range(2):
        with patch.object(recount, "count", side_effect=AssertionError):
            await crowded.tend()
    packed = await crowded.connection.fetch("select start from packed_days")
    assert len(packed) == 9
    assert (day,) not in packed
    assert metrics.nameless_days.get({}) == 1


async def test_the_day_has_names_again_once_the_events_are_gone(crowded: Storer) -> None:
    await crowded.connection.execute("delete from raw_events where event_type <> 'e'")
    await crowded.tend()
    assert await crowded.connection.fetchval("select count(*) from rollup_strays") == 0
    answer = await crowded.ask("/trends", *RANGE, ("by", "event_type"))
    assert (answer["meta"]["source"], answer["data"]["series"][0]["total"]) == ("rollup", 20)
    await checked(crowded.store)


async def test_a_rebuild_finds_too_many_names_by_itself(crowded: Storer) -> None:
    await crowded.connection.execute("update raw_events set user_id = 'x' where event_type = 't1'")
    await crowded.connection.execute("delete from rollup_strays where writer = 0")
    await crowded.tend()
    assert await crowded.connection.fetchval(coverage.COUNT_NAMELESS) == 1
    assert all(report.complete for report in await checked(crowded.store))


@pytest.mark.parametrize("by", ["event_action", "event_type", "metadata.n", "metadata.k"])
async def test_no_question_adds_up_more_groups_or_rows_than_fit(
    crowded: Storer, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*RANGE, ("by", by), ("limit", "1000"), ("measure", "users")]
    expected = (await crowded.ask("/trends", *asked))["data"]
    for module in (statements, unchanged_days):
        monkeypatch.setattr(module, "MAX_GROUPS", 1)
    monkeypatch.setattr(statements, "MAX_ROWS", 1)
    assert (await crowded.ask("/trends", *asked))["data"] == expected
