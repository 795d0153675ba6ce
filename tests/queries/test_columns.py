"""Packed days: funnels, paths and sessions from them against the oracle, while events come and people turn out to be others."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import Mock, patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.embedded import Postgres
from analytics.queries import columns, pieces, sequences
from tests.examples import examples
from tests.queries import oracle_funnel, oracle_paths, oracle_sessions, test_funnel, test_paths, test_sessions
from tests.queries.oracle import Row, Trend
from tests.queries.oracle_funnel import Funnel
from tests.queries.oracle_identity import owned
from tests.queries.oracle_paths import Paths
from tests.queries.storing import Batches, Storer, batches, opened, rows_of
from tests.queries.streams import written_filters
from tests.queries.test_funnel import plain, step
from tests.queries.test_identity import telling
from tests.queries.test_trends import equal

several = examples(150)


@pytest.fixture(scope="module")
async def storer(postgres_server: Postgres, migrated_database: str) -> AsyncIterator[Storer]:
    async with opened(postgres_server, migrated_database) as storer:
        yield storer


@pytest.fixture(scope="module", autouse=True)
def _rather_packed() -> Iterator[None]:
    """However much of a range is changing; and a few rows at a time, so that there are several times."""
    with patch.object(pieces, "MAX_RAW", float("inf")), patch.object(sequences, "ROWS", 4):
        yield


@pytest.fixture
def loaded() -> Iterator[Mock]:
    """Whether questions found packed days that will do."""
    with patch.object(columns.Columns, "load", wraps=columns.Columns.load) as load:
        yield load


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
def told(draw: st.DrawFn, rows: list[Row]) -> Batches:
    """In transactions; in half of the cases some rows say who is whom."""
    return draw(batches(draw(telling(rows)) if draw(st.booleans()) else rows))


@st.composite
def funnels(draw: st.DrawFn) -> tuple[Funnel, Batches, State]:
    asked, rows = draw(test_funnel.cases())
    return asked, draw(told(rows)), draw(states)


@several
@given(case=funnels())
async def test_a_funnel_is_what_trying_every_way_says(storer: Storer, case: tuple[Funnel, Batches, State]) -> None:
    asked, stored, state = case
    answer = (await store(storer, stored, state, "/funnel", *test_funnel.written(asked)))["data"]
    expected = oracle_funnel.funnel(owned(rows_of(stored)), asked)
    assert list(map(step, answer["steps"])) == plain(expected["steps"])
    assert [list(map(step, group["steps"])) for group in answer["groups"]] == [plain(steps) for _, steps in expected["groups"]]


@st.composite
def trails(draw: st.DrawFn) -> tuple[Paths, Batches, State]:
    asked, rows = draw(test_paths.cases())
    return asked, draw(told(rows)), draw(states)


@several
@given(case=trails())
async def test_paths_are_what_following_each_unit_says(storer: Storer, case: tuple[Paths, Batches, State]) -> None:
    asked, stored, state = case
    answer = await store(storer, stored, state, "/paths", *test_paths.written(asked))
    assert test_paths.links(answer) == oracle_paths.paths(owned(rows_of(stored)), asked)


@st.composite
def visits(draw: st.DrawFn) -> tuple[Trend, Batches, State]:
    asked, rows = draw(test_sessions.filtered())
    return asked, draw(told(rows)), draw(states)


@several
@given(case=visits())
async def test_sessions_are_what_looking_at_each_says(storer: Storer, case: tuple[Trend, Batches, State]) -> None:
    asked, stored, state = case
    found = (await store(storer, stored, state, "/sessions", *written_filters(asked), ("interval", asked.interval)))["data"]
    rows = test_sessions.passing(owned(rows_of(stored)), asked)
    expected = oracle_sessions.sessions(rows, asked.start, asked.end, asked.interval, asked.zone)
    series, wanted = found.pop("series"), expected.pop("series")
    assert all(equal(found[name], expected[name]) for name in expected)
    for name in expected:
        assert all(equal(got, bucket[name]) for got, bucket in zip(series[name], wanted, strict=True)), name
