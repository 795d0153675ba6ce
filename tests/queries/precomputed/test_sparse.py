"""Sparse parts beside those of the release before: all answers are exact, in either release's api.

Rows are compacted as this release does and as the one before did, and merged by either of them, at
random. Both apis are asked at every step; that of the release before takes no row for "no value".
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.derived import cells
from analytics.queries.database.snapshot import open_engine
from analytics.queries.precomputed import cell_reader
from analytics.settings import Settings
from tests.examples import examples
from tests.queries import oracle, oracle_breakdown
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.oracle_breakdown import Breakdown
from tests.queries.precomputed.test_rollup import cases
from tests.queries.precomputed.test_rollup_questions import Parameters, tables
from tests.queries.questions.trends.test_trends import assert_same
from tests.queries.simple import row
from tests.queries.storing import Batches, Storer, all_text
from tests.queries.streams import written
from tests.stores.upkeep.full_parts import merge_full, written_full
from tests.stores.upkeep.test_rollups import checked

pytestmark = pytest.mark.usefixtures("rather_precomputed")

several = examples(60)

steps = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["neither", "this", "before"])),
    min_size=8,
    max_size=8,
)
"""Of each batch: whether the release before compacts it, and which release then merges all."""

Steps = list[tuple[bool, str]]

Answers = Callable[[str, Parameters], Awaitable[tuple[Any, Any]]]
"""What this release's api says, and what that of the release before says."""


@pytest.fixture(scope="module")
async def answers(storer: Storer) -> AsyncIterator[Answers]:
    engine = open_engine(Settings(database_url=storer.url))
    before = Asker(storer.connection, engine)

    async def asked(path: str, parameters: Parameters) -> tuple[Any, Any]:
        now = await storer.ask(path, *parameters)
        with patch.object(cell_reader, "is_sparse", lambda part: False):
            return now, await before.ask(path, *parameters)

    yield asked
    await engine.dispose()


async def store(storer: Storer, batches: Batches, steps: Steps) -> AsyncIterator[list[Row]]:
    """Store batches one after the other; yields all rows after each."""
    await storer.empty()
    rows: list[Row] = []
    for (more, compact), (full, merging) in zip(batches, steps, strict=False):
        await storer.write(more)
        rows += more
        if compact:
            with written_full() if full else nullcontext():
                await storer.store.compact()
        if merging == "before":
            await merge_full(storer.connection)
        elif merging == "this":
            await storer.tend()
        yield rows


@several
@given(case=cases(), steps=steps, most=st.sampled_from([2, 5000]))
async def test_trends_are_what_a_plain_count_says(
    storer: Storer, answers: Answers, case: tuple[Trend, Batches, bool], steps: Steps, most: int
) -> None:
    asked, batches, _ = case
    with patch.object(cells, "MAX_VALUES", most):
        async for rows in store(storer, batches, steps):
            expected = oracle.trends(rows, asked)
            for answer in await answers("/trends", written(asked)):
                assert_same(answer["data"], expected, asked)
        await checked(storer.store)


@several
@given(case=tables(), steps=steps)
async def test_breakdowns_are_what_a_plain_count_says(
    storer: Storer,
    answers: Answers,
    case: tuple[Parameters, Breakdown, Batches, bool],
    steps: Steps,
) -> None:
    parameters, asked, batches, _ = case
    async for rows in store(storer, batches, steps):
        expected = oracle_breakdown.breakdown(rows, asked)
        for answer in await answers("/breakdown", parameters):
            assert (answer["data"]["rows"], answer["data"]["total_rows"]) == expected
    await checked(storer.store)
    paths = {path for path in asked.by if path[0] == "metadata"}
    paths |= {condition.path for condition in asked.where}
    merged_before = any(merging == "before" for _, merging in steps)
    if len(paths) <= 1 and not merged_before and (not paths or all_text(batches)):
        answer, _ = await answers("/breakdown", parameters)
        assert answer["meta"]["source"] == "rollup"


BY = [("from", "2026-10-01"), ("to", "2026-10-04"), ("event", "e"), ("by", "metadata.k")]
USERS = [*BY, ("measure", "users")]


@pytest.fixture
async def valueless(storer: Storer) -> Storer:
    """Three days; e has a value of k on the second only, and another event has it every day."""
    await storer.empty()
    for day in (1, 2, 3):
        at = f"2026-10-0{day}T12"
        first = row(at, "u1", k="a") if day == 2 else row(at, "u1")
        await storer.write([first, row(at, "u2"), row(at, "u3", event="f:a", k="b")])
        await storer.store.compact()
    return storer


@pytest.mark.parametrize("merged", [False, True])
async def test_events_without_values_are_answered_from_rollups_and_the_release_before_reads_raw(
    valueless: Storer, answers: Answers, merged: bool
) -> None:
    if merged:
        await valueless.tend()
    for parameters, totals in ((BY, {None: 5, "a": 1}), (USERS, {None: 2, "a": 1})):
        now, before = await answers("/trends", parameters)
        assert now["data"] == before["data"]
        found = {one["key"]["metadata.k"]: one["total"] for one in now["data"]["series"]}
        assert found == totals
        assert (now["meta"]["source"], before["meta"]["source"]) == ("rollup", "raw")


async def test_what_the_release_before_merged_is_not_taken_for_no_value(
    storer: Storer, answers: Answers
) -> None:
    """It drops the row of too many values, and the rest of the events of that name had no row."""
    await storer.empty()
    with patch.object(cells, "MAX_VALUES", 2):
        await storer.write([row("2026-10-02T12", "u1") for _ in range(2)])
        await storer.store.compact()
        for values in ("ab", "cd"):
            await storer.write([row("2026-10-02T12", "u1", k=value) for value in values])
            await storer.store.compact()
        await merge_full(storer.connection)
        for answer in await answers("/trends", BY):
            assert answer["meta"]["source"] == "raw"
            assert [one["total"] for one in answer["data"]["series"]] == [2, 1, 1, 1, 1]


async def test_who_asks_for_a_field_named_like_the_contents_is_answered_from_raw_rows(
    valueless: Storer, answers: Answers
) -> None:
    parameters = [("from", "2026-10-01"), ("to", "2026-10-04"), ("by", "metadata.%2C")]
    for answer in await answers("/trends", parameters):
        [series] = answer["data"]["series"]
        assert (answer["meta"]["source"], series["total"]) == ("raw", 9)
        assert series["key"] == {"metadata.%2C": None}
