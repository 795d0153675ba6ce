"""Packed days: funnels, paths and sessions from them against the oracle, while events come.

In half of the cases some events link actors to one person.
"""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.precomputed import pieces
from analytics.queries.sequences import columns, sequences
from tests.examples import examples
from tests.queries import (
    oracle,
    oracle_funnel,
    oracle_paths,
    oracle_sessions,
)
from tests.queries.database.test_identity import telling
from tests.queries.oracle import Row, Trend
from tests.queries.oracle_funnel import Funnel
from tests.queries.oracle_identity import owned
from tests.queries.oracle_paths import Paths
from tests.queries.questions import test_paths, test_sessions
from tests.queries.questions.funnel import test_funnel
from tests.queries.questions.funnel.test_funnel import plain, step
from tests.queries.questions.trends.test_trends import assert_same, equal
from tests.queries.storing import Batches, Storer, batches, rows_of
from tests.queries.streams import questions, streams, written, written_filters
from tests.waiting import PATIENCE_SECONDS

several = examples(150)


@pytest.fixture(scope="module", autouse=True)
def _rather_packed() -> Iterator[None]:
    """However much of a range is changing; and a few rows at a time, so that there are several
    times.
    """
    with (
        patch.object(pieces, "MAX_RAW_SHARE", float("inf")),
        patch.object(sequences, "CHUNK_ROWS", 4),
    ):
        yield


State = tuple[bool, bool]
"""Whether the days are packed at last, and whether who asks has asked before."""

states = st.tuples(st.booleans(), st.booleans())


async def store(storer: Storer, batches: Batches, state: State, *question: Any) -> Any:
    """The answer when these rows have come."""
    packed, asked = state
    await storer.empty()
    for rows, compact in batches:
        await storer.write(rows)
        if compact:
            await storer.store.compact()
            await storer.tend()
        if asked:
            await storer.ask(*question)
    if packed:
        await storer.store.compact()
        await storer.tend()
    return await storer.ask(*question)


@st.composite
def stored_batches(draw: st.DrawFn, rows: list[Row]) -> Batches:
    """In transactions; in half of the cases some rows link actors to one person."""
    return draw(batches(draw(telling(rows)) if draw(st.booleans()) else rows))


@st.composite
def funnels(draw: st.DrawFn) -> tuple[Funnel, Batches, State]:
    asked, rows = draw(test_funnel.cases())
    return asked, draw(stored_batches(rows)), draw(states)


@several
@given(case=funnels())
async def test_a_funnel_is_what_trying_every_way_says(
    storer: Storer, case: tuple[Funnel, Batches, State]
) -> None:
    asked, stored, state = case
    answer = (await store(storer, stored, state, "/funnel", *test_funnel.written(asked)))["data"]
    expected = oracle_funnel.funnel(owned(rows_of(stored)), asked)
    assert list(map(step, answer["steps"])) == plain(expected["steps"])
    assert [list(map(step, group["steps"])) for group in answer["groups"]] == [
        plain(steps) for _, steps in expected["groups"]
    ]


@st.composite
def trails(draw: st.DrawFn) -> tuple[Paths, Batches, State]:
    asked, rows = draw(test_paths.cases())
    return asked, draw(stored_batches(rows)), draw(states)


@several
@given(case=trails())
async def test_paths_are_what_following_each_unit_says(
    storer: Storer, case: tuple[Paths, Batches, State]
) -> None:
    asked, stored, state = case
    answer = await store(storer, stored, state, "/paths", *test_paths.written(asked))
    assert test_paths.links(answer) == oracle_paths.paths(owned(rows_of(stored)), asked)


@st.composite
def filtered_rows(draw: st.DrawFn) -> tuple[Trend, Batches, State]:
    asked, rows = draw(test_sessions.filtered())
    return asked, draw(stored_batches(rows)), draw(states)


@several
@given(case=filtered_rows())
async def test_sessions_are_what_looking_at_each_says(
    storer: Storer, case: tuple[Trend, Batches, State]
) -> None:
    asked, stored, state = case
    data = (
        await store(
            storer,
            stored,
            state,
            "/sessions",
            *written_filters(asked),
            ("interval", asked.interval),
        )
    )["data"]
    rows = test_sessions.passing(owned(rows_of(stored)), asked)
    expected = oracle_sessions.sessions(rows, asked.start, asked.end, asked.interval, asked.zone)
    series, wanted = data.pop("series"), expected.pop("series")
    assert all(equal(data[name], expected[name]) for name in expected)
    for name in expected:
        assert all(
            equal(got, bucket[name]) for got, bucket in zip(series[name], wanted, strict=True)
        ), name


@st.composite
def counted(draw: st.DrawFn) -> tuple[Trend, Batches, State]:
    asked = replace(
        draw(questions()), measure=("sessions", None), rolling=draw(st.sampled_from([1, 1, 1, 2]))
    )
    return asked, draw(stored_batches(draw(streams(asked)))), draw(states)


@several
@given(case=counted())
async def test_sessions_over_time_are_what_a_plain_count_says(
    storer: Storer, case: tuple[Trend, Batches, State]
) -> None:
    asked, stored, state = case
    answer = await store(storer, stored, state, "/trends", *written(asked))
    assert_same(answer["data"], oracle.trends(owned(rows_of(stored)), asked), asked)


# threads


async def test_a_small_question_is_not_queued_behind_all_chunks_of_a_large_one() -> None:
    done: list[str] = []
    begun, gate, handed_over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def of_many(_: int) -> None:
        begun.release()
        gate.acquire(timeout=PATIENCE_SECONDS)
        done.append("many")

    def of_few(_: int) -> None:
        done.append("few")

    def one_item() -> Iterator[int]:
        """Whoever asks for another one has handed this one over."""
        yield 0
        handed_over.set()

    one, other = (object.__new__(columns.Columns) for _ in range(2))
    one._check_time = other._check_time = lambda: None
    many = asyncio.create_task(asyncio.to_thread(one.each, of_many, range(50)))
    for _ in range(columns.THREADS):
        assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE_SECONDS)
    few = asyncio.create_task(asyncio.to_thread(other.each, of_few, one_item()))
    assert await asyncio.to_thread(handed_over.wait, PATIENCE_SECONDS)
    gate.release()
    await asyncio.wait([few], timeout=PATIENCE_SECONDS)
    done_first = list(done)
    gate.release(50)
    await asyncio.gather(many, few)
    assert done_first == ["many", "few"]


async def test_a_cancelled_question_stops_after_the_chunk_at_work() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def piece(number: int) -> None:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)
        done.append(number)

    of = object.__new__(columns.Columns)
    of._check_time = lambda: None
    asking = asyncio.create_task(of.work(lambda: of.each(piece, range(50))))
    assert await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
    asking.cancel()
    await asyncio.wait([asking])
    go_on.set()
    await of.work(lambda: None)
    assert len(done) <= columns.THREADS
