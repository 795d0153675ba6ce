"""Numbers on rollups: random questions against the oracle and PostgreSQL; and limits."""

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.events import Job
from analytics.queries.database.memory import Memory
from analytics.queries.database.snapshot import _memories, open_engine
from analytics.queries.precomputed.distribution import Distribution
from analytics.queries.questions.trends import precomputed_lines
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.examples import examples
from tests.queries import oracle, oracle_breakdown
from tests.queries.asker import Asker
from tests.queries.oracle import Trend
from tests.queries.oracle_breakdown import Breakdown
from tests.queries.precomputed.numbers import (
    HUGE,
    LONG,
    NAMES,
    NUMBERS,
    OTHERS,
    TINY,
    WEEK,
    N,
    Parameters,
    asked_both_ways,
    nothing_but_summaries,
    total_of,
)
from tests.queries.questions.trends.test_trends import assert_same, equal
from tests.queries.simple import row
from tests.queries.storing import DIMENSIONS, Batches, Storer, batches, event, few_or_many, rows_of
from tests.queries.streams import (
    paths,
    questions,
    streams,
    written,
    written_field,
    written_filters,
    written_measure,
)

pytestmark = pytest.mark.usefixtures("rather_precomputed")


@st.composite
def numbered(draw: st.DrawFn, asked: Trend, numbers: Sequence[Any]) -> Batches:
    """Events around the range of a question, most of which have a number."""
    values = st.sampled_from([*numbers, *numbers, *OTHERS])
    transactions = draw(batches(draw(streams(asked, draw(few_or_many)))))
    return [
        ([replace(one, metadata={**one.metadata, "n": draw(values)}) for one in rows], compact)
        for rows, compact in transactions
    ]


@st.composite
def lines(
    draw: st.DrawFn, numbers: Sequence[Any], names: Sequence[str] = NAMES
) -> tuple[Trend, Batches, bool]:
    by = draw(st.none() | st.sampled_from([("metadata", "k"), N, ("event_type",)]))
    asked = replace(draw(questions()), measure=(draw(st.sampled_from(names)), N), by=by)
    asked = draw(st.sampled_from([asked, replace(asked, pairs=((None, None),), where=())]))
    return asked, draw(numbered(asked, numbers)), draw(st.booleans())


@examples(100)
@given(case=lines(NUMBERS) | lines([*NUMBERS, *LONG, *TINY], ("sum", "avg", "min", "max")))
async def test_trends_of_remembered_numbers_are_what_a_plain_look_says(
    storer: Storer, case: tuple[Trend, Batches, bool]
) -> None:
    asked, batches, tended = case
    await storer.write_while_asked(batches, tended, "/trends", written(asked))
    assert_same(
        await asked_both_ways(storer, "/trends", written(asked)),
        oracle.trends(rows_of(batches), asked),
        asked,
    )


@examples(40)
@given(case=lines([*HUGE, *LONG, *TINY, 0]))
async def test_trends_of_huge_and_tiny_numbers_are_what_the_database_says(
    storer: Storer, case: tuple[Trend, Batches, bool]
) -> None:
    asked, batches, tended = case
    await storer.write_while_asked(batches, tended, "/trends", written(asked))
    await asked_both_ways(storer, "/trends", written(asked))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Parameters, Breakdown, Batches, bool]:
    trend = replace(draw(questions()), compare=False, rolling=1)
    trend = draw(st.sampled_from([trend, replace(trend, pairs=((None, None),), where=())]))
    by = draw(
        st.lists(
            paths.filter(lambda path: path[0] not in ("user_id", "session_id")),
            min_size=1,
            max_size=3,
        ).map(tuple)
    )
    number = st.tuples(st.sampled_from(NAMES), st.sampled_from([N, N, ("metadata", "k")]))
    counted = st.tuples(st.sampled_from(["count", "users"]), st.none())
    measures = draw(st.lists(number | counted, min_size=1, max_size=4).map(tuple))
    columns = [*map(written_field, by), *map(written_measure, measures)]
    sort = draw(st.none() | st.tuples(st.sampled_from(columns).map(columns.index), st.booleans()))
    asked = Breakdown(
        trend.start, trend.end, by, measures, trend.pairs, trend.where, trend.limit, sort
    )
    parameters = [
        *written_filters(trend),
        ("by", ",".join(columns[: len(by)])),
        ("measure", ",".join(columns[len(by) :])),
        ("limit", str(asked.limit)),
    ]
    parameters += [("sort", "-" * sort[1] + columns[sort[0]])] if sort else []
    return parameters, asked, draw(numbered(trend, NUMBERS)), draw(st.booleans())


@examples(60)
@given(case=tables())
async def test_breakdowns_of_remembered_numbers_are_what_a_plain_look_says(
    storer: Storer, case: tuple[Parameters, Breakdown, Batches, bool]
) -> None:
    parameters, asked, batches, tended = case
    await storer.write_while_asked(batches, tended, "/breakdown", parameters)
    answer = await asked_both_ways(storer, "/breakdown", parameters)
    expected, total = oracle_breakdown.breakdown(rows_of(batches), asked)
    fields = len(asked.by)
    assert answer["total_rows"] == total
    assert [got[:fields] for got in answer["rows"]] == [want[:fields] for want in expected]
    for got, want in zip(answer["rows"], expected, strict=True):
        assert all(map(equal, got[fields:], want[fields:])), (got, want)


async def test_no_more_numbers_are_held_than_can_be_remembered(
    fortnight: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = _memories.setdefault(fortnight.engine, Memory())
    monkeypatch.setattr(memory, "limit_bytes", 1000)
    assert await total_of(fortnight, "p50") == 8
    monkeypatch.undo()
    with nothing_but_summaries():
        assert await total_of(fortnight, "p50") == 8


async def test_long_windows_over_many_buckets_are_left_to_the_database(
    fortnight: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precomputed_lines, "MAX_ROLLING_SUMMARIES", 20)
    with nothing_but_summaries():
        await total_of(fortnight, "sum", ("rolling", "2"))
        with pytest.raises(AssertionError):
            await total_of(fortnight, "sum", ("rolling", "3"))
    assert await total_of(fortnight, "sum", ("rolling", "3")) == 56


async def test_numbers_are_not_put_together_on_the_event_loop(fortnight: Storer) -> None:
    threads: set[int] = set()
    measure = Distribution.measure

    def seen(spread: Distribution, name: str) -> float | None:
        threads.add(threading.get_ident())
        return measure(spread, name)

    with patch.object(Distribution, "measure", seen):
        await total_of(fortnight, "p50")
        await fortnight.ask(
            "/breakdown", *WEEK, ("measure", "p50:metadata.n"), ("by", "metadata.k")
        )
    assert threads
    assert threading.get_ident() not in threads


async def test_a_hypertable_says_the_same_of_numbers(timescale_url: str, asker: Asker) -> None:
    now = datetime.now(UTC)
    dice = random.Random(1)
    rows = [
        row(
            (now - timedelta(hours=dice.randrange(200))).isoformat(),
            k=dice.choice("abc"),
            n=dice.choice(NUMBERS),
        )
        for _ in range(200)
    ]
    store = await PostgresStore.open(
        Settings(database_url=timescale_url, rollup_dimensions=DIMENSIONS)
    )
    for at in range(0, 200, 20):
        await store.write([Job(f"{at}.20", [event(one) for one in rows[at : at + 20]])])
    await store.compact()
    await store.close()
    engine = open_engine(Settings(database_url=timescale_url))
    for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu"):
        for name in ("avg", "p90"):
            start = now.replace(microsecond=0) - timedelta(hours=180)
            asked = Trend(
                start,
                now,
                ZoneInfo(zone),
                "day",
                (name, N),
                by=("metadata", "k"),
                rolling=2,
                compare=True,
            )
            with nothing_but_summaries():
                answer: Any = await Asker(asker.connection, engine).ask("/trends", *written(asked))
            assert_same(answer["data"], oracle.trends(rows, asked), asked)
    await engine.dispose()
