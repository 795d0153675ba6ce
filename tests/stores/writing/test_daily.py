"""Daily counts: the total is that of all rows; so many types have rows, the others one together."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest

from analytics.derived import deltas
from analytics.derived.deltas import Dimensions
from analytics.events import Event
from analytics.stores import PostgresStore
from analytics.stores.writing import daily
from tests.stores.conftest import NOW, a_job, an_event, connected, opened, rows
from tests.waiting import until

ERASE = Path(__file__).parents[3] / "docs" / "tasks" / "erase-a-person.md"

ROWS = """
SELECT date, dimension_value AS type, value FROM daily_metrics
WHERE project = $1 AND metric_name = 'events' AND dimension_key = $2
"""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "MAX_TYPES", 3)


@pytest.fixture
async def looker(migrated_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(migrated_url) as connection:
        yield connection


def events(types: Iterable[str], **changes: Any) -> list[Event]:
    return [an_event(event_type=each, **changes) for each in types]


async def counts(
    looker: asyncpg.Connection, project: str = "default"
) -> dict[date, Mapping[str, int]]:
    """By day and type; asserts that they add up to the day's total."""
    by_day: dict[date, Counter[str]] = {}
    for day, type_, value in await looker.fetch(ROWS, project, "event_type"):
        by_day.setdefault(day, Counter())[type_] = value
    totals = {day: value for day, _, value in await looker.fetch(ROWS, project, "")}
    assert totals == {day: sum(types.values()) for day, types in by_day.items()}
    return {**by_day}


async def test_types_beyond_so_many_of_a_day_are_counted_in_one_row(
    plain_store: PostgresStore, looker: asyncpg.Connection
) -> None:
    await plain_store.write([a_job(*events("ba"))])
    await plain_store.write([a_job(*events("edcaea"), *events("a", project="other"))])
    day = NOW.date()
    assert await counts(looker) == {day: {"a": 3, "b": 1, "c": 1, daily.REST: 3}}
    await plain_store.write([a_job(*events("cdf"))])
    assert await counts(looker) == {day: {"a": 3, "b": 1, "c": 2, daily.REST: 5}}
    assert await counts(looker, "other") == {day: {"a": 1}}


async def test_each_day_has_its_own_types(
    plain_store: PostgresStore, looker: asyncpg.Connection
) -> None:
    before = NOW - timedelta(days=1)
    await plain_store.write([a_job(*events("abcd"), *events("defg", timestamp=before))])
    assert await counts(looker) == {
        NOW.date(): {"a": 1, "b": 1, "c": 1, daily.REST: 1},
        before.date(): {"d": 1, "e": 1, "f": 1, daily.REST: 1},
    }


async def test_each_type_is_in_one_row_however_many_are_stored_at_once(
    migrated_url: str, looker: asyncpg.Connection
) -> None:
    types = "abcdefgh"
    async with opened(migrated_url) as one, opened(migrated_url) as two:

        async def write(store: PostgresStore, each: str) -> None:
            for _ in range(5):
                await store.write([a_job(*events(each))])

        async with anyio.create_task_group() as writing:
            for at, each in enumerate(types):
                writing.start_soon(write, (one, two)[at % 2], each + types[at - 1])
    [found] = (await counts(looker)).values()
    assert len(found) == 4
    assert [value for each, value in found.items() if each != daily.REST] == [10, 10, 10]


async def test_a_type_that_another_transaction_counted_just_before_has_its_row(
    migrated_url: str, looker: asyncpg.Connection
) -> None:
    """It was not there when the second began to count, and fills no place of its own now."""

    async def count(connection: asyncpg.Connection, types: str) -> None:
        sent = events(types)
        await daily.add(connection, deltas.build(sent, [*range(len(sent))], Dimensions(())))

    async with connected(migrated_url) as one, connected(migrated_url) as two:
        async with one.transaction():
            await count(one, "abc")
            second = asyncio.create_task(count(two, "ad"))
            waits = "SELECT cardinality(pg_blocking_pids($1)) > 0"
            await until(lambda: looker.fetchval(waits, two.get_server_pid()))
        await second
    assert await counts(looker) == {NOW.date(): {"a": 2, "b": 1, "c": 1, daily.REST: 1}}


async def test_rows_of_more_types_that_an_earlier_release_wrote_go_on_being_counted(
    plain_store: PostgresStore, looker: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "MAX_TYPES", 5)
    await plain_store.write([a_job(*events("abcde"))])
    assert await rows(plain_store) == 5
    monkeypatch.setattr(daily, "MAX_TYPES", 3)
    await plain_store.write([a_job(*events("aef"))])
    assert await counts(looker) == {
        NOW.date(): {"a": 2, "b": 1, "c": 1, "d": 1, "e": 2, daily.REST: 1}
    }


async def test_an_erasure_takes_events_from_the_rows_that_count_them(
    plain_store: PostgresStore, looker: asyncpg.Connection
) -> None:
    """By the statement of docs/tasks/erase-a-person.md."""
    await plain_store.write([a_job(*events("abcdea"))])
    [statement] = re.findall(r"^UPDATE daily_metrics .+?;$", ERASE.read_text(), re.DOTALL | re.M)
    await looker.execute(
        "CREATE TEMPORARY TABLE gone AS SELECT id, timestamp, event_type FROM raw_events"
        " WHERE event_type IN ('a', 'e')"
    )
    await looker.execute(statement.replace(":'project'", "'default'"))
    assert await counts(looker) == {NOW.date(): {"a": 0, "b": 1, "c": 1, daily.REST: 1}}
