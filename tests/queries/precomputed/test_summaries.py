"""Cached summaries of numbers: against the oracle, and to the last bit against PostgreSQL."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import Mock, patch
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.events import Job
from analytics.queries.database.snapshot import _memories, open_engine
from analytics.queries.language.measures import added
from analytics.queries.precomputed import distribution, summaries, unchanged_days
from analytics.queries.precomputed.distribution import PAIR, Distribution, SortedRun
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.precomputed.summaries import average
from analytics.queries.questions import breakdown
from analytics.queries.questions.trends import precomputed_lines, trends
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.examples import examples
from tests.queries import oracle, oracle_breakdown
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.oracle_breakdown import Breakdown
from tests.queries.questions.test_trends import assert_same, equal
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

NAMES = ("sum", "avg", "min", "max", "p50", "p90", "p95", "p99")
N = ("metadata", "n")

TINY = [Decimal("1e-400"), Decimal("-1e-400")]
NUMBERS = [
    0,
    1,
    1,
    2,
    3,
    -7,
    *map(Decimal, ("-0.0", "0.1", "0.2", "1.00", "2.5000", "-3e5", "1e-7", "12345.6789")),
]
LONG = [2**53 + 1, 10**30 + 1]
"""As doubles these lose digits and tiny ones are equal to 0, for the oracle they do not and are
not: it is not asked for percentiles of them.
"""

HUGE = [*map(Decimal, ("1e308", "-1e308", "1.7976931348623157e308", "9e307"))]
OTHERS = ["7", "", True, None, [1], {"a": 1}]

Parameters = Sequence[tuple[str, str]]


pytestmark = pytest.mark.usefixtures("rather_precomputed")


@contextmanager
def raw_rows_alone() -> Iterator[None]:
    """Numbers are not remembered."""
    with patch.object(Rollup, "summaries", return_value=None):
        yield


@contextmanager
def nothing_but_summaries() -> Iterator[None]:
    """Raw rows are not asked for the answer."""
    with (
        patch.object(trends, "RawLines", side_effect=AssertionError),
        patch.object(breakdown, "table", side_effect=AssertionError),
    ):
        yield


async def asked_both_ways(storer: Storer, path: str, parameters: Parameters) -> Any:
    """What is remembered, the same when it is asked for again, and the same as what PostgreSQL
    says.
    """
    with nothing_but_summaries():
        first, again = [(await storer.ask(path, *parameters))["data"] for _ in range(2)]
    with raw_rows_alone():
        raw = (await storer.ask(path, *parameters))["data"]
    assert first == raw
    assert again == raw
    return first


async def stored(
    storer: Storer, batches: Batches, tended: bool, path: str, parameters: Parameters
) -> None:
    """All rows, in their batches; the question is put meanwhile, so that much of what is remembered
    is out of date.
    """
    await storer.empty()
    for rows, compact in batches:
        await storer.write(rows)
        if compact:
            await storer.store.compact()
        await storer.ask(path, *parameters)
    if tended:
        await storer.tend()


@st.composite
def numbered(draw: st.DrawFn, asked: Trend, numbers: Sequence[Any]) -> Batches:
    """Events around the range of a question, most of which have a number."""
    values = st.sampled_from([*numbers, *numbers, *OTHERS])
    parts = draw(batches(draw(streams(asked, draw(few_or_many)))))
    return [
        ([replace(one, metadata={**one.metadata, "n": draw(values)}) for one in rows], compact)
        for rows, compact in parts
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
    await stored(storer, batches, tended, "/trends", written(asked))
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
    await stored(storer, batches, tended, "/trends", written(asked))
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
    await stored(storer, batches, tended, "/breakdown", parameters)
    answer = await asked_both_ways(storer, "/breakdown", parameters)
    expected, total = oracle_breakdown.breakdown(rows_of(batches), asked)
    fields = len(asked.by)
    assert answer["total_rows"] == total
    assert [got[:fields] for got in answer["rows"]] == [want[:fields] for want in expected]
    for got, want in zip(answer["rows"], expected, strict=True):
        assert all(map(equal, got[fields:], want[fields:])), (got, want)


# numbers


WEEK = (("from", "2026-10-05"), ("to", "2026-10-12"))


async def hold(storer: Storer, rows: list[Row]) -> None:
    await storer.empty()
    await storer.write(rows)
    await storer.store.compact()


def a_day(number: int) -> str:
    return f"2026-10-{5 + number % 7:02}T12:30"


SETS: dict[str, Sequence[Any]] = {
    "ties": [2, 2, 2, Decimal("2.0"), 3, 3, Decimal("2.00"), 2, 3],
    "one": [Decimal("1.10")],
    "none at all": ["7", True, None, [1]],
    "numbers and what is none": [1, "2", 3, None, True, {"n": 4}, 5],
    "zero below zero": [Decimal("-0.0"), Decimal("-0.00"), 0, -1],
    "too small for a double": [
        Decimal("1e-400"),
        Decimal("-1e-400"),
        Decimal("1e-301"),
        Decimal("1e-299"),
    ],
    "as large as doubles are": [
        Decimal("1.7976931348623157e308"),
        Decimal("-1.7976931348623157e308"),
        0,
    ],
    "more digits than a double has": [*LONG, 2**53, 2**62 + 1, 10**30 + 3, Decimal("0.1")],
    "thirds": [1, 0, 0, Decimal("0.3333333333333333333333333"), 10**17, 1, 7],
    "few large, many small": [10**9, *[Decimal("0.001")] * 20],
}


@pytest.mark.parametrize("numbers", SETS.values(), ids=SETS)
@pytest.mark.parametrize("name", NAMES)
async def test_any_numbers_are_measured_as_the_database_measures_them(
    storer: Storer, name: str, numbers: Sequence[Any]
) -> None:
    await hold(storer, [row(a_day(at), n=number) for at, number in enumerate(numbers)])
    data = await asked_both_ways(
        storer,
        "/trends",
        [*WEEK, ("measure", f"{name}:metadata.n"), ("rolling", "3"), ("compare", "previous")],
    )
    expected = oracle.measure(
        name, N, [row(a_day(at), n=number) for at, number in enumerate(numbers)]
    )
    if not any(number in LONG for number in numbers) or name in ("sum", "avg", "min", "max"):
        assert equal(data["series"][0]["total"], expected)


async def test_a_bucket_without_numbers_is_zero_for_a_sum_and_null_for_all_else(
    storer: Storer,
) -> None:
    await hold(storer, [row("2026-10-05T12:30", n="7"), row("2026-10-06T12:30", n=4)])
    for name in NAMES:
        (line,) = (
            await asked_both_ways(storer, "/trends", [*WEEK, ("measure", f"{name}:metadata.n")])
        )["series"]
        assert line == {
            "key": {},
            "values": [0 if name == "sum" else None, 4, *[0 if name == "sum" else None] * 5],
            "total": 4,
        }


@pytest.mark.parametrize("name", ["avg", "p50"])
async def test_groups_without_numbers_come_last_and_equal_ones_in_code_point_order(
    storer: Storer, name: str
) -> None:
    values = {"b": 2, "a": 2, None: 3, "": "none", "z": -1}
    await hold(storer, [row(a_day(at), k=key, n=n) for at, (key, n) in enumerate(values.items())])
    data = await asked_both_ways(
        storer, "/trends", [*WEEK, ("measure", f"{name}:metadata.n"), ("by", "metadata.k")]
    )
    assert [line["key"]["metadata.k"] for line in data["series"]] == [None, "a", "b", "z", ""]
    data = await asked_both_ways(
        storer,
        "/trends",
        [*WEEK, ("measure", f"{name}:metadata.n"), ("by", "metadata.k"), ("limit", "2")],
    )
    assert data["other"]["total"] == {"avg": 0.5, "p50": 0.5}[name]


async def test_a_breakdown_has_every_measure_of_every_group(storer: Storer) -> None:
    await hold(
        storer,
        [row(a_day(at), f"u{at % 3}", k="ab"[at % 2], n=at) for at in range(12)]
        + [row(a_day(1), k="c")],
    )
    measures = [
        "p50:metadata.n",
        "count",
        "users",
        *(f"{name}:metadata.n" for name in ("sum", "avg", "min", "max", "p90")),
    ]
    data = await asked_both_ways(
        storer,
        "/breakdown",
        [*WEEK, ("by", "metadata.k"), ("measure", ",".join(measures)), ("sort", "metadata.k")],
    )
    assert data["rows"] == [
        ["a", 5, 6, 3, 30, 5, 0, 10, 9],
        ["b", 6, 6, 3, 36, 6, 1, 11, 10],
        ["c", None, 1, 1, 0, None, None, None, None],
    ]


@pytest.mark.parametrize(("day", "hours"), [("2026-10-25", 25), ("2026-03-29", 23)])
async def test_a_local_day_has_the_numbers_of_all_its_hours(
    storer: Storer, day: str, hours: int
) -> None:
    first = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    await hold(
        storer,
        [
            row((first + timedelta(hours=hour, minutes=30)).isoformat(), n=hour)
            for hour in range(-24, hours + 24)
        ],
    )
    until = (first + timedelta(hours=hours)).isoformat()
    for name, value in {"sum": sum(range(hours)), "max": hours - 1, "p50": (hours - 1) / 2}.items():
        data = await asked_both_ways(
            storer,
            "/trends",
            [
                ("from", day),
                ("to", until),
                ("tz", "Europe/Berlin"),
                ("measure", f"{name}:metadata.n"),
            ],
        )
        assert data["series"][0]["values"] == [value]


async def test_a_formula_of_remembered_numbers_is_that_of_raw_ones(storer: Storer) -> None:
    await hold(storer, [row(a_day(at), event=f"e:{'ab'[at % 2]}", n=at) for at in range(20)])
    series = [
        ("series", "sum:metadata.n@e:a"),
        ("series", "p90:metadata.n@*"),
        ("series", "count@*"),
        ("formula", "A/C+B"),
    ]
    data = await asked_both_ways(storer, "/trends", [*WEEK, *series, ("compare", "previous")])
    assert data["series"][3]["total"] == pytest.approx(90 / 20 + 17.1)


# memory


numbers_of = unchanged_days.number_summaries


@pytest.fixture
def counted() -> Iterator[Mock]:
    """Statements that summarize numbers of unchanged days."""
    with patch.object(unchanged_days, "number_summaries", wraps=numbers_of) as counted:
        yield counted


@pytest.fixture
async def filled(storer: Storer) -> Storer:
    """Two weeks, a number a day, compacted."""
    await hold(
        storer,
        [row(f"2026-10-{day:02}T12:30", f"u{day % 5}", k=f"k{day}", n=day) for day in range(1, 15)],
    )
    return storer


async def total(storer: Storer, measure: str, *parameters: tuple[str, str]) -> Any:
    return (await storer.ask("/trends", *WEEK, ("measure", f"{measure}:metadata.n"), *parameters))[
        "data"
    ]["series"][0]["total"]


@pytest.mark.parametrize("names", [("sum", "avg", "min", "max"), ("p50", "p90", "p95", "p99")])
async def test_numbers_of_a_day_are_read_once_for_all_measures_of_a_kind(
    filled: Storer, counted: Mock, names: Sequence[str]
) -> None:
    for name in [*names, *names]:
        await total(filled, name)
    assert counted.call_count == 1


async def test_different_fields_and_filters_are_remembered_apart(
    filled: Storer, counted: Mock
) -> None:
    await filled.write([row("2026-10-06T12:30", "u9", n=100, m=1000)])
    await filled.store.compact()
    for _ in range(2):
        assert (
            await total(filled, "sum"),
            await total(filled, "max"),
            await total(filled, "p50"),
        ) == (156, 100, 8.5)
        assert await total(filled, "sum", ("where", "user_id.eq.u9")) == 100
        answer = await filled.ask("/trends", *WEEK, ("measure", "sum:metadata.m"))
        assert answer["data"]["series"][0]["total"] == 1000
    assert counted.call_count == 4


@pytest.mark.parametrize("name", ["sum", "p99"])
@pytest.mark.parametrize("compacted", [True, False])
async def test_a_number_that_comes_late_counts(filled: Storer, name: str, compacted: bool) -> None:
    await total(filled, name)
    await filled.write([row("2026-10-07T03:00", "late", n=1000)])
    if compacted:
        await filled.store.compact()
    assert await total(filled, name) == pytest.approx(
        {"sum": 56 + 1000, "p99": 11 + 0.93 * 989}[name]
    )


@pytest.mark.parametrize("name", ["sum", "p50"])
@pytest.mark.parametrize("tended", [True, False])
async def test_an_erased_number_does_not_count(filled: Storer, name: str, tended: bool) -> None:
    before = await total(filled, name)
    await filled.connection.execute("delete from raw_events where timestamp = '2026-10-11T12:30Z'")
    if tended:
        await filled.tend()
    assert (before, await total(filled, name)) == {"sum": (56, 45), "p50": (8, 7.5)}[name]


async def test_identity_does_not_change_sums_of_numbers(filled: Storer, counted: Mock) -> None:
    before = await total(filled, "sum")
    await filled.write(
        [row("2026-10-20T12:30", "u1", event="identify:identify", **{"$anonymous_id": "s"})]
    )
    await filled.store.compact()
    assert await total(filled, "sum") == before
    assert counted.call_count == 1


async def test_more_groups_than_can_be_kept_are_left_to_the_database(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled.write([row("2026-10-07T12:30", k="other", n=1)])
    await filled.store.compact()
    monkeypatch.setattr(unchanged_days, "MAX_VALUES", 1)
    by_group = [*WEEK, ("measure", "sum:metadata.n"), ("by", "metadata.k")]
    with nothing_but_summaries(), pytest.raises(AssertionError):
        await filled.ask("/trends", *by_group)
    answer = await filled.ask("/trends", *by_group)
    assert sum(line["total"] for line in answer["data"]["series"]) == 57


async def test_more_numbers_than_can_be_kept_are_left_to_the_database_and_read_for_nothing_no_more(
    filled: Storer, counted: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled.write(
        [row("2026-10-07T03:00", k="other", n=1000), row("2026-10-07T03:00:01", n=1000)]
    )
    await filled.store.compact()
    monkeypatch.setattr(unchanged_days, "MAX_HOURS", 24)
    monkeypatch.setattr(summaries, "MAX_NUMBERS", 1)
    assert [await total(filled, "p50") for _ in range(2)] == [9, 9]
    assert counted.call_count == 3
    for by in ([], [("by", "metadata.k")]):
        with nothing_but_summaries(), pytest.raises(AssertionError):
            await total(filled, "p50", *by)
    answer = await filled.ask("/trends", *WEEK, ("measure", "p50:metadata.n"), ("by", "metadata.k"))
    assert answer["data"]["series"][0]["total"] == 1000


async def test_too_many_numbers_in_parts_of_hours_are_left_to_the_database(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled.write([row(f"2026-10-05T12:{minute}", n=minute) for minute in (10, 20, 40, 50)])
    await filled.store.compact()
    until = ("to", "2026-10-05T12:45")
    monkeypatch.setattr(summaries, "MAX_NUMBERS", 3)
    answer = await filled.ask("/trends", WEEK[0], until, ("measure", "p50:metadata.n"))
    assert answer["data"]["series"][0]["total"] == 15


async def test_no_more_numbers_are_held_than_can_be_remembered(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = _memories[filled.engine]
    monkeypatch.setattr(memory, "limit", 1000)
    assert await total(filled, "p50") == 8
    monkeypatch.undo()
    with nothing_but_summaries():
        assert await total(filled, "p50") == 8


async def test_long_windows_over_many_buckets_are_left_to_the_database(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precomputed_lines, "MAX_ROLLING_SUMMARIES", 20)
    with nothing_but_summaries():
        await total(filled, "sum", ("rolling", "2"))
        with pytest.raises(AssertionError):
            await total(filled, "sum", ("rolling", "3"))
    assert await total(filled, "sum", ("rolling", "3")) == 56


async def test_numbers_are_not_put_together_on_the_event_loop(filled: Storer) -> None:
    threads: set[int] = set()
    measure = Distribution.measure

    def seen(spread: Distribution, name: str) -> float | None:
        threads.add(threading.get_ident())
        return measure(spread, name)

    with patch.object(Distribution, "measure", seen):
        await total(filled, "p50")
        await filled.ask("/breakdown", *WEEK, ("measure", "p50:metadata.n"), ("by", "metadata.k"))
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


# put together


values = st.sampled_from([0.0, 1.0, 1.0, 2.5, -3.0, 1e308, -1e308, 5e-300]) | st.floats(
    allow_nan=False, allow_infinity=False
)


def run(numbers: Sequence[float]) -> SortedRun:
    """As it is read."""
    return SortedRun(
        np.array(
            [(number, numbers.count(number)) for number in dict.fromkeys(numbers)],
            dtype=PAIR,
        )
    )


@examples(200)
@given(
    runs=st.lists(st.lists(values, min_size=1, max_size=40), min_size=1, max_size=6),
    name=st.sampled_from(["p50", "p90", "p95", "p99"]),
    few=st.booleans(),
)
async def test_percentiles_of_runs_are_those_of_all_numbers(
    storer: Storer, runs: list[list[float]], name: str, few: bool
) -> None:
    with patch.object(distribution, "SORTED_AT_ONCE", 1000 if few else 0):
        parts = [Distribution([run(numbers)]) for numbers in runs]
        value = Distribution.combined(parts).measure(name)
    percentile = f"percentile_cont(0.{name[1:]}) within group (order by number)"
    sql = f"select {percentile} from unnest($1::float8[]) number"
    assert value == await storer.connection.fetchval(
        sql, [number for numbers in runs for number in numbers]
    )


def test_only_numbers_that_may_be_the_percentile_are_looked_at() -> None:
    dice = random.Random(1)
    many = [[dice.gauss(0, 1) for _ in range(2000)] for _ in range(20)]
    runs = [run(numbers) for numbers in many]
    with patch.object(np, "concatenate", wraps=np.concatenate) as sorted_:
        value = Distribution(runs).measure("p95")
    assert value == pytest.approx(np.percentile(np.array(many), 95))
    assert sum(map(len, sorted_.call_args_list[0].args[0])) < 4000


def test_a_run_takes_no_more_than_it_needs() -> None:
    assert run([float(number) for number in range(1000)]).size_bytes == 8000
    assert run([1.0, 2.0] * 1000).size_bytes == 2 * 8 + 2 * 2


decimals = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**25), max_value=10**25, places=None
) | st.sampled_from(
    [
        Decimal(text)
        for text in (
            "0",
            "0.00",
            "1e308",
            "-1e308",
            "1e-400",
            "9999",
            "10000",
            "9999.9999",
            "0.0001",
            "0.00009999",
            "1.50",
            "123456789012345678.5",
        )
    ]
)


@examples(300)
@given(numbers=st.lists(decimals, min_size=1, max_size=12))
async def test_an_average_is_rounded_where_the_database_rounds_it(
    storer: Storer, numbers: list[Decimal]
) -> None:
    expected, total = await storer.connection.fetchrow(
        "select avg(number), sum(number) from unnest($1::numeric[]) number", numbers
    )
    assert added(numbers) == total
    mean = average(total, len(numbers))
    assert (mean, mean.as_tuple().exponent) == (expected, expected.as_tuple().exponent) or (
        mean == expected and expected == expected.to_integral_value()
    )
