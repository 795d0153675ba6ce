"""Rollups against the oracle and against raw rows.

The real store stores random streams, and compacts them at random moments.
"""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.events import Job
from analytics.queries.database.snapshot import open_engine
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.examples import examples
from tests.queries import oracle
from tests.queries.asker import Asker
from tests.queries.oracle import Trend
from tests.queries.questions.trends.test_trends import assert_same
from tests.queries.simple import row
from tests.queries.storing import (
    DIMENSIONS,
    Batches,
    Storer,
    batches,
    event,
    fields,
    rows_of,
    wheres,
)
from tests.queries.streams import questions, streams, written

several = examples(100)


measures = st.tuples(st.sampled_from(["count", "users"]), st.none())


@st.composite
def cases(draw: st.DrawFn) -> tuple[Trend, Batches, bool]:
    """A question that rollups may answer, rows, and whether their days are unchanged."""
    asked = replace(
        draw(questions()), measure=draw(measures), by=draw(st.none() | fields), where=draw(wheres)
    )
    return asked, draw(batches(draw(streams(asked)))), draw(st.booleans())


@several
@given(case=cases())
async def test_stored_events_are_counted_as_a_plain_count_says(
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
    answer = await storer.ask("/trends", *written(asked))
    assert_same(answer["data"], oracle.trends(rows_of(batches), asked), asked)


# the planner


async def source(storer: Storer, *parameters: tuple[str, str]) -> str:
    name: str = (
        await storer.ask("/trends", ("from", "2026-10-01"), ("to", "2026-10-31"), *parameters)
    )["meta"]["source"]
    return name


def metadata(day: int) -> dict[str, Any]:
    return {"a.b": "c" if day < 15 else 1}


@pytest.fixture
async def filled(storer: Storer) -> Storer:
    """A month of events, compacted."""
    await storer.empty()
    rows = [
        row(f"2026-10-{day:02}T{hour:02}:30", f"u{day % 5}", k="a", **metadata(day))
        for day in range(1, 31)
        for hour in (0, 12, 23)
    ]
    await storer.write(rows)
    await storer.store.compact()
    return storer


USERS = ("measure", "users")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], "rollup"),
        ([USERS, ("rolling", "7"), ("compare", "previous")], "rollup"),
        ([USERS, ("by", "metadata.k"), ("tz", "Europe/Berlin")], "rollup"),
        ([USERS, ("where", "metadata.k.in.a,b"), ("by", "event_type")], "rollup"),
        ([USERS, ("tz", "Asia/Kathmandu")], "rollup"),
        ([("series", "users@e"), ("series", "count@*"), ("formula", "A/B")], "rollup"),
        ([("interval", "hour")], "rollup"),
        ([("interval", "hour"), ("tz", "Asia/Kathmandu")], "raw"),
        ([("interval", "minute"), ("from", "2026-10-02"), ("to", "2026-10-03")], "raw"),
        ([("measure", "sessions")], "raw"),
        ([("series", "sessions@e"), ("series", "count@*")], "raw"),
        ([("by", "metadata.n")], "raw"),
        ([("by", "metadata.a%2Eb")], "raw"),
        ([("by", "user_id")], "raw"),
        ([("where", "user_id.eq.u1")], "raw"),
        ([("where", "metadata.k.re.a")], "raw"),
        ([("by", "metadata.k"), ("where", "metadata.é.unset")], "raw"),
    ],
)
async def test_the_planner_says_what_it_picked(
    filled: Storer, parameters: list[tuple[str, str]], expected: str
) -> None:
    fixed = [] if "from" in dict(parameters) else [("from", "2026-10-01"), ("to", "2026-10-31")]
    assert (await filled.ask("/trends", *fixed, *parameters))["meta"]["source"] == expected


async def test_a_dimension_is_answered_from_rollups_where_all_its_values_are_text(
    filled: Storer,
) -> None:
    by = ("by", "metadata.a%2Eb")
    assert (await filled.ask("/trends", ("from", "2026-10-01"), ("to", "2026-10-15"), by))["meta"][
        "source"
    ] == "rollup"


async def test_changed_days_come_from_raw_rows_and_the_rest_from_rollups(
    filled: Storer,
) -> None:
    await filled.connection.execute("delete from raw_events where timestamp = '2026-10-10T12:30Z'")
    answer = await filled.ask("/trends", ("from", "2026-10-01"), ("to", "2026-10-31"), USERS)
    assert answer["meta"]["source"] == "rollup"
    assert (
        sum(
            (await filled.ask("/trends", ("from", "2026-10-01"), ("to", "2026-10-31")))["data"][
                "series"
            ][0]["values"]
        )
        == 89
    )
    assert answer["data"]["series"][0]["total"] == 5


async def test_before_a_rebuild_only_raw_rows_answer(filled: Storer) -> None:
    await filled.connection.execute("delete from rollups")
    await filled.connection.execute("update rollup_since set start = 500000")
    assert await source(filled) == "raw"
    assert (await filled.ask("/trends", ("from", "2026-10-01"), ("to", "2026-10-31")))["data"][
        "series"
    ][0]["total"] == 90


async def test_a_backlog_of_deltas_is_left_to_raw_rows(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.queries.precomputed.rollup.MAX_PENDING_EVENTS", 0)
    assert await source(filled) == "rollup"
    await filled.write([row("2026-10-05T05:00", "u9")])
    assert await source(filled) == "raw"
    await filled.store.compact()
    assert await source(filled) == "rollup"


async def test_a_hypertable_answers_from_rollups(timescale_url: str, asker: Asker) -> None:
    now = datetime.now(UTC)
    dice = random.Random(1)
    rows = [
        row(
            (now - timedelta(hours=dice.randrange(200))).isoformat(),
            f"u{dice.randrange(9)}",
            k=dice.choice("abc"),
        )
        for _ in range(200)
    ]
    store = await PostgresStore.open(
        Settings(database_url=timescale_url, rollup_dimensions=DIMENSIONS)
    )
    for at in range(0, 200, 20):
        await store.write([Job(f"{at}.20", [event(one) for one in rows[at : at + 20]])])
        if at % 3:
            await store.compact()
    await store.maintain()
    await store.close()
    engine = open_engine(Settings(database_url=timescale_url))
    zones = ("UTC", "Europe/Berlin", "Asia/Kathmandu")
    start, end = now.replace(microsecond=0) - timedelta(hours=180), now
    for zone in zones:
        for by in (None, ("metadata", "k")):
            asked = Trend(
                start, end, ZoneInfo(zone), "day", ("users", None), by=by, rolling=2, compare=True
            )
            answer: Any = await Asker(asker.connection, engine).ask("/trends", *written(asked))
            assert answer["meta"]["source"] == "rollup"
            assert_same(answer["data"], oracle.trends(rows, asked), asked)
    await engine.dispose()
