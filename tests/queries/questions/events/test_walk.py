"""Lists with filters that few rows pass: against the oracle while events come, and what is read."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from unittest.mock import Mock, patch
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.events import Job
from analytics.queries.database.snapshot import open_engine
from analytics.queries.precomputed import pieces, unchanged_days
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.questions.events import events
from analytics.queries.questions.events.walk import NEWEST, WINDOW_DAYS, windows
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.examples import examples
from tests.queries import oracle
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.simple import row
from tests.queries.storing import DIMENSIONS, Batches, Storer, batches, event, few_or_many, rows_of
from tests.queries.streams import questions, streams, written_filters

Parameters = list[tuple[str, str]]


async def pages(asker: Asker, parameters: Parameters, limit: int) -> list[UUID]:
    """The ids on all pages, each of which but the last is full, by rows or by bytes."""
    row_ids: list[UUID] = []
    cursor: Parameters = []
    while not row_ids or cursor:
        page = (await asker.ask("/events", *parameters, ("limit", str(limit)), *cursor))["data"]
        row_ids += [UUID(shown["id"]) for shown in page["rows"]]
        if page["next"] is None:
            break
        assert len(page["rows"]) == limit or 0 < len(page["rows"]) < limit > events.PAGE_BYTES / 100
        cursor = [("cursor", page["next"])]
    return row_ids


@st.composite
def cases(draw: st.DrawFn) -> tuple[Trend, Batches, bool, int, float, int]:
    asked = replace(draw(questions()), by=None, compare=False, rolling=1)
    rows = draw(batches(draw(streams(asked, draw(few_or_many)))))
    return (
        asked,
        rows,
        draw(st.booleans()),
        draw(st.integers(1, 5)),
        draw(st.sampled_from([0.25, float("inf")])),
        draw(st.sampled_from([10**6, 10**6, 40, 1])),
    )


@examples(100)
@given(case=cases())
async def test_pages_hold_every_row_once_newest_first_whatever_is_known_of_days(
    storer: Storer, case: tuple[Trend, Batches, bool, int, float, int]
) -> None:
    asked, batches, tended, limit, most, bytes_ = case
    await storer.empty()
    with (
        patch.object(pieces, "MAX_RAW_SHARE", most),
        patch.object(events, "PAGE_BYTES", bytes_),
    ):
        for rows, compact in batches:
            await storer.write(rows)
            if compact:
                await storer.store.compact()
            await storer.ask("/events", *written_filters(asked), ("limit", str(limit)))
        if tended:
            await storer.tend()
        expected = oracle.events(rows_of(batches), asked.start, asked.end, asked.pairs, asked.where)
        assert [await pages(storer, written_filters(asked), limit) for _ in range(2)] == [
            expected,
            expected,
        ]


# what is looked at


RANGE = [("from", "2026-07-01"), ("to", "2026-10-14T18:00")]
RARE = [*RANGE, ("where", "metadata.n.gte.100")]
"""Of 105 days there is one on which something passes."""

page, counts, numbers_of = events.page, unchanged_days.counts, unchanged_days.number_summaries


@pytest.fixture
async def filled(storer: Storer) -> Storer:
    """An event a day, compacted; of 2026-09-03 two are rare."""
    await storer.empty()
    days = [datetime(2026, 7, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(106)]
    rare = [row(f"2026-09-03T0{hour}:00", "u1", n=100) for hour in (1, 2)]
    await storer.write(
        [*(row(day.isoformat(), f"u{day.day % 3}", n=day.day) for day in days), *rare]
    )
    await storer.store.compact()
    return storer


@pytest.fixture
def looked() -> Iterator[Mock]:
    """Pages of the list, by where they begin and end."""
    with patch.object(events, "page", side_effect=page) as looked:
        yield looked


@pytest.fixture
def counted() -> Iterator[Mock]:
    """Statements that count raw rows of unchanged days."""
    with patch.object(unchanged_days, "counts", side_effect=counts) as counted:
        yield counted


@pytest.fixture
def timed() -> Iterator[Mock]:
    """Statements that read timestamps of unchanged days."""
    with patch.object(unchanged_days, "number_summaries", side_effect=numbers_of) as timed:
        yield timed


def ranges(looked: Mock) -> list[tuple[str, str]]:
    return [
        (f"{start:%m-%dT%H}", f"{end:%m-%dT%H}")
        for start, end in (call.args[1] for call in looked.call_args_list)
    ]


async def ids(asker: Asker, parameters: Parameters) -> list[int]:
    """How many were found of each day."""
    return [
        datetime.fromisoformat(shown["timestamp"]).day
        for shown in (await asker.ask("/events", *parameters))["data"]["rows"]
    ]


async def test_days_without_rows_are_passed_by_and_counted_once(
    filled: Storer, looked: Mock, counted: Mock, timed: Mock
) -> None:
    assert await ids(filled, RARE) == [3, 3]
    calls = counted.call_count
    assert ranges(looked) == [("10-14T00", "10-14T18"), ("09-03T00", "09-04T00")]
    assert await ids(filled, RARE) == [3, 3]
    assert counted.call_count == calls > 0
    assert timed.call_count == 1
    assert len(looked.call_args_list) == 4


async def test_where_there_are_few_rows_only_these_are_read(filled: Storer, looked: Mock) -> None:
    for _ in range(2):
        await ids(filled, RARE)
    instants = [datetime(2026, 9, 3, hour, tzinfo=UTC) for hour in (1, 2)]
    assert [call.args[3] and sorted(call.args[3]) for call in looked.call_args_list] == [
        None,
        instants,
        None,
        instants,
    ]


async def test_instants_that_are_no_doubles_are_read_as_they_are(filled: Storer) -> None:
    rows = [row(f"2300-01-05T12:00:00.{at:06}", n=100) for at in range(1, 9)]
    await filled.write(rows)
    await filled.store.compact()
    assert await pages(filled, [("from", "2300-01-01"), ("to", "2300-01-20"), RARE[2]], 20) == [
        row.id for row in reversed(rows)
    ]


async def test_days_with_rows_that_follow_each_other_are_read_at_once(
    filled: Storer, looked: Mock, timed: Mock
) -> None:
    await filled.write([row("2026-09-04T01:00", n=100), row("2026-09-06T01:00", n=100)])
    await filled.store.compact()
    assert await ids(filled, RARE) == [6, 4, 3, 3]
    assert ranges(looked)[1:] == [("09-03T00", "09-07T00")]
    assert [len(call.args[1]) for call in timed.call_args_list] == [1, 2]


async def test_a_page_that_is_found_in_the_newest_hours_needs_nothing_else(
    filled: Storer, looked: Mock
) -> None:
    await filled.write([row("2026-10-14T13:00", n=1)])
    with patch.object(Rollup, "buckets", side_effect=AssertionError):
        assert await ids(filled, [*RANGE, ("where", "metadata.n.gte.1"), ("limit", "1")]) == [14]
    assert ranges(looked) == [("10-14T00", "10-14T18")]


async def test_a_list_without_filters_is_one_statement(
    filled: Storer, looked: Mock, counted: Mock
) -> None:
    assert len(await ids(filled, [*RANGE, ("limit", "1000")])) == 108
    assert ranges(looked) == [("07-01T00", "10-14T18")]


async def test_nothing_older_is_looked_at_once_a_page_is_full(
    filled: Storer, looked: Mock, counted: Mock
) -> None:
    assert await ids(filled, [*RANGE, ("where", "metadata.n.gte.8"), ("limit", "3")]) == [
        14,
        13,
        12,
    ]
    assert ranges(looked)[1:] == [("10-11T00", "10-14T00")]
    assert looked.call_args.args[2:] == (3, None)
    days = [block.starts.start for call in counted.call_args_list for block in call.args[1]]
    assert min(days) == datetime(2026, 10, 6, tzinfo=UTC).timestamp() // 3600
    assert len(days) == WINDOW_DAYS[0]


async def test_what_trends_have_counted_is_known_to_a_list(filled: Storer, counted: Mock) -> None:
    await filled.ask("/trends", *RARE)
    calls = counted.call_count
    assert await ids(filled, RARE) == [3, 3]
    assert counted.call_count == calls


async def test_what_rollups_know_needs_no_raw_rows(
    filled: Storer, looked: Mock, counted: Mock
) -> None:
    assert await ids(filled, [*RANGE, ("event", "nothing:of-this")]) == []
    assert len(looked.call_args_list) == 1
    assert not counted.called


@pytest.mark.parametrize("compacted", [True, False])
async def test_an_event_that_comes_late_is_listed(filled: Storer, compacted: bool) -> None:
    assert await ids(filled, RARE) == [3, 3]
    await filled.write([row("2026-08-05T03:00", "late", n=101)])
    if compacted:
        await filled.store.compact()
    assert await ids(filled, RARE) == [3, 3, 5]


async def test_a_deleted_row_is_not_listed(filled: Storer) -> None:
    assert await ids(filled, RARE) == [3, 3]
    await filled.connection.execute("delete from raw_events where timestamp = '2026-09-03T02:00Z'")
    assert await ids(filled, RARE) == [3]


async def test_pages_go_on_within_an_instant(filled: Storer) -> None:
    await filled.write([row("2026-08-05T03:00", n=100) for _ in range(5)])
    await filled.store.compact()
    assert [len({*await pages(filled, RARE, limit)}) for limit in (1, 2, 3)] == [7, 7, 7]


async def test_a_timeline_neither_uses_nor_caches_counts(filled: Storer) -> None:
    """A timeline filters by person too, which cached counts do not."""
    timeline = "/users/{id:path}/timeline"
    assert (await filled.ask(timeline, *RARE, id="u2"))["data"]["rows"] == []
    assert await ids(filled, RARE) == [3, 3]
    assert len((await filled.ask(timeline, *RARE, id="u1"))["data"]["rows"]) == 2


async def test_a_list_is_looked_for_without_rollups_too(filled: Storer) -> None:
    await filled.connection.execute("delete from rollups; update rollup_since set start = 500000")
    assert await ids(filled, RARE) == [3, 3]


async def test_a_hypertable_lists_the_same(timescale_url: str, asker: Asker) -> None:
    now = datetime.now(UTC)
    dice = random.Random(1)
    rows: list[Row] = [
        row((now - timedelta(hours=dice.randrange(400))).isoformat(), n=dice.randrange(9))
        for _ in range(200)
    ]
    store = await PostgresStore.open(
        Settings(database_url=timescale_url, rollup_dimensions=DIMENSIONS)
    )
    await store.write([Job("1.200", [event(one) for one in rows])])
    await store.compact()
    await store.close()
    engine = open_engine(Settings(database_url=timescale_url))
    condition = oracle.Condition(("metadata", "n"), "gte", ("7",))
    start = now - timedelta(hours=300)
    parameters = [
        ("from", start.isoformat()),
        ("to", now.isoformat()),
        ("where", "metadata.n.gte.7"),
    ]
    expected = oracle.events(rows, start, now, ((None, None),), (condition,))
    assert [await pages(Asker(asker.connection, engine), parameters, 7) for _ in range(2)] == [
        expected,
        expected,
    ]
    await engine.dispose()


# windows


instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants it so


@examples(200)
@given(start=instants, length=st.timedeltas(timedelta(0), timedelta(days=800)))
def test_windows_are_the_whole_range_cut_at_midnights(start: datetime, length: timedelta) -> None:
    end = min(start, datetime(9990, 1, 1, tzinfo=UTC)) + length
    start = end - length
    parts = [*windows(start, end)]
    edges = [edge for window in reversed(parts) for edge in window[:-1]] + [end] * bool(parts)
    assert edges == sorted({*edges})
    assert edges[:1] + edges[-1:] == ([start, end] if start < end else [])
    assert all(edge.time() == datetime.min.time() for edge in edges[1:-1])
    for window in parts[1 : len(WINDOW_DAYS) + 1]:
        assert all(until - since <= timedelta(days=1) for since, until in pairwise(window))
    if parts:
        assert end - parts[0][0] >= min(NEWEST, length)
        assert end - parts[0][0] <= NEWEST + timedelta(days=1)
    assert len(parts) <= len(WINDOW_DAYS) + 2


def test_ranges_of_any_length_have_few_windows() -> None:
    parts = [*windows(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))]
    assert len(parts) == len(WINDOW_DAYS) + 2
    assert max(map(len, parts)) <= max(WINDOW_DAYS) + 1
