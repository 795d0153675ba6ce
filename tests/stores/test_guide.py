"""The deployment guide's own SQL may have run before `analytics migrate`: nothing of it is lost."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import pytest

from analytics.errors import CommandError
from analytics.events import Outcome
from analytics.settings import Settings
from analytics.stores import guide, migrate, schema
from analytics.stores.writing import transaction
from tests import timescale
from tests.stores.conftest import ago, opened, rows
from tests.test_cli import analytics

T = TypeVar("T")

RAW_EVENTS = """
CREATE TABLE raw_events (id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id VARCHAR(64) NOT NULL, user_id VARCHAR(255), event_type VARCHAR(100) NOT NULL,
    event_action VARCHAR(255) NOT NULL, metadata JSONB DEFAULT '{}',
    timestamp TIMESTAMPTZ NOT NULL DEFAULT NOW(), created_at TIMESTAMPTZ NOT NULL DEFAULT NOW())
"""

GUIDE = (
    "CREATE EXTENSION IF NOT EXISTS timescaledb",
    RAW_EVENTS,
    "SELECT create_hypertable('raw_events', 'timestamp')",
    "CREATE INDEX idx_raw_events_session ON raw_events(session_id)",
    "CREATE INDEX idx_raw_events_user ON raw_events(user_id)",
    "CREATE INDEX idx_raw_events_type ON raw_events(event_type)",
    "CREATE INDEX idx_raw_events_metadata ON raw_events USING GIN(metadata)",
    """CREATE TABLE daily_metrics (date DATE NOT NULL, metric_name VARCHAR(100) NOT NULL,
    dimension_key VARCHAR(255), dimension_value VARCHAR(255), value BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (date, metric_name, dimension_key, dimension_value))""",
    "SELECT add_retention_policy('raw_events', INTERVAL '90 days')",
)
"""The guide's statements in its order. Two or three fail, and psql goes on with the next."""

CORRECTED = (
    *GUIDE[:1],
    RAW_EVENTS.replace("UUID PRIMARY KEY", "UUID").replace(
        "DEFAULT NOW())", "DEFAULT NOW(), PRIMARY KEY (id, timestamp))"
    ),
    *GUIDE[2:],
)
"""As somebody would correct it, so that the table is a hypertable with a policy."""

ADD = """
INSERT INTO raw_events (id, session_id, user_id, event_type, event_action, metadata, timestamp)
VALUES ($1, 's1', $2, 'engagement', 'click', $3::text::jsonb, $4)
"""

STORED = """
SELECT id, session_id, user_id, metadata::text, timestamp, created_at FROM {} ORDER BY id
"""


def inside(url: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Do something over a connection of its own."""

    async def run() -> T:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def fetch(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    found = inside(url, lambda connection: connection.fetch(query, *values))
    return [tuple(row) for row in found]


def guided(url: str, *statements: str) -> None:
    """Run the guide's SQL as psql does, which goes on after an error."""

    async def run(connection: asyncpg.Connection) -> None:
        for statement in statements or GUIDE:
            with contextlib.suppress(asyncpg.PostgresError):
                await connection.execute(statement)

    inside(url, run)


def add(url: str, *events: tuple[str | None, str | None, datetime]) -> None:
    """Events of the guide's own service: who, metadata as JSON, when."""

    async def run(connection: asyncpg.Connection) -> None:
        await connection.executemany(ADD, [(uuid.uuid4(), *event) for event in events])

    inside(url, run)


@pytest.fixture(params=["plain", "timescale"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database without our tables."""
    if request.param == "plain":
        yield request.getfixturevalue("database_url")
    else:
        with timescale.unmigrated() as url:
            yield url


def test_empty_tables_of_the_guides_are_replaced(url: str) -> None:
    guided(url)
    settings = Settings(database_url=url)
    assert migrate(url, settings).after == schema.head()
    assert asyncio.run(guide.carry(settings)) is None
    assert fetch(url, "SELECT to_regclass('raw_events_guide')") == [(None,)]


@pytest.mark.parametrize("statements", [GUIDE, CORRECTED], ids=["as written", "corrected"])
def test_events_are_carried_over_with_their_ids_and_times(
    url: str, statements: tuple[str, ...]
) -> None:
    guided(url, *statements)
    add(
        url,
        ("ada", '{"page": "/"}', ago(days=40)),
        (None, None, ago(days=2)),
        ("bob", "[1, 2]", ago(hours=1)),
        ("bob", '"text"', ago(hours=1)),
    )
    before = fetch(url, STORED.format("raw_events"))
    settings = Settings(database_url=url, retention_days=30)
    migrate(url, settings)
    carried = asyncio.run(guide.carry(settings))
    assert carried is not None
    assert (carried.outcome.stored, carried.outcome.duplicate, carried.expired) == (4, 0, 1)

    as_stored = {None: "{}", "[1, 2]": '{"value": [1, 2]}', '"text"': '{"value": "text"}'}
    expected = [(*row[:3], as_stored.get(row[3], row[3]), *row[4:]) for row in before]
    assert fetch(url, STORED.format("raw_events")) == expected
    assert fetch(url, STORED.format("raw_events_guide")) == before
    assert asyncio.run(counted(settings)) == 4
    assert asyncio.run(guide.carry(settings)) is None


NO_TIMES = (
    "infinity",
    "-infinity",
    "0044-03-15Z BC",
    "0001-12-31Z",
    "9999-01-01Z",
    "294276-12-31Z",
)
EDGES = ("0002-01-01Z", "9998-12-31 23:59:59Z")


def test_times_that_no_event_can_have_keep_nobody_else_back(url: str) -> None:
    """PostgreSQL has more times than we do."""
    guided(url)
    add(url, ("ada", "{}", ago(days=1)), ("bob", "{}", ago(hours=1)))
    columns = "session_id, event_type, event_action, timestamp, created_at"
    for time in (*NO_TIMES, *EDGES):
        values = f"'s', 'e', 'a', '{time}', '{time}'"
        fetch(url, f"INSERT INTO raw_events ({columns}) VALUES ({values})")
    values = "'odd', 'e', 'a', now(), '-infinity'"
    fetch(url, f"INSERT INTO raw_events ({columns}) VALUES ({values})")
    settings = Settings(database_url=url, retention_days=0)
    migrate(url, settings)
    held = fetch(url, "SELECT timestamp::text FROM raw_events_guide ORDER BY timestamp")
    carried = asyncio.run(guide.carry(settings))
    assert carried is not None
    assert carried.unreadable.rows == len(NO_TIMES)
    assert carried.unreadable.first[0].endswith(" at -infinity")
    assert len(carried.unreadable.first) == guide.SHOWN_UNREADABLE
    assert carried.outcome == Outcome(3 + len(EDGES), 0, 0)
    [(received, sent)] = fetch(
        url, "SELECT created_at, timestamp FROM raw_events WHERE session_id = 'odd'"
    )
    assert received == sent
    assert fetch(url, "SELECT timestamp::text FROM raw_events_guide ORDER BY timestamp") == held
    assert asyncio.run(counted(settings)) == carried.outcome.stored
    assert asyncio.run(guide.carry(settings)) is None


async def counted(settings: Settings) -> int:
    """The rows, which daily counts and rollup deltas agree with."""
    async with opened(settings.database()) as store:
        async with store._pool.acquire() as connection:
            deltas = await connection.fetchval("SELECT sum(events) FROM rollup_deltas")
        n = await rows(store)
    assert deltas == n
    return n


def test_large_events_are_carried_over_a_few_at_a_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided(url)
    large = '{"k": "%s"}' % ("x" * 1_000)
    add(url, *((f"u{at}", large, ago(hours=at)) for at in range(7)))
    sizes: list[int] = []
    store = transaction.store

    async def noted(*arguments: Any, **options: Any) -> Any:
        sizes.append(len(arguments[1][0].events))
        return await store(*arguments, **options)

    monkeypatch.setattr(transaction, "store", noted)
    monkeypatch.setattr(guide, "SLICE_BYTES", 2_500)
    settings = Settings(database_url=url)
    migrate(url, settings)
    carried = asyncio.run(guide.carry(settings))
    assert carried is not None
    assert carried.outcome == Outcome(7, 0, 0)
    assert sizes == [3, 3, 1]


def test_no_policy_empties_the_table_that_stays() -> None:
    with timescale.unmigrated() as url:
        guided(url, *CORRECTED)
        add(url, ("ada", "{}", ago(days=1)))
        policies = (
            "SELECT count(*) FROM timescaledb_information.jobs"
            " WHERE proc_name = 'policy_retention' AND hypertable_name LIKE '%guide'"
        )
        migrate(url, Settings())
        assert fetch(url, "SELECT count(*) FROM raw_events_guide") == [(1,)]
        assert fetch(url, policies) == [(0,)]


def test_carrying_over_goes_on_after_an_interruption(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guide, "SLICE_ROWS", 3)
    guided(database_url)
    add(database_url, *(("ada", "{}", ago(minutes=minute)) for minute in range(10)))
    settings = Settings(database_url=database_url)
    migrate(database_url, settings)
    with monkeypatch.context() as broken:
        done: list[int] = []

        async def fail_at_the_third(*args: Any, **options: Any) -> Any:
            done.append(1)
            if len(done) == 3:
                raise ConnectionError("the network is gone")
            return await store(*args, **options)

        store = transaction.store
        broken.setattr(transaction, "store", fail_at_the_third)
        with pytest.raises(ConnectionError):
            asyncio.run(guide.carry(settings))
    carried = asyncio.run(guide.carry(settings))
    assert carried is not None
    assert (carried.outcome.stored, carried.outcome.duplicate) == (4, 6)
    assert asyncio.run(counted(settings)) == 10


def test_other_metrics_of_the_guides_stay_and_events_are_counted_anew(database_url: str) -> None:
    guided(database_url)
    add(database_url, ("ada", "{}", ago(days=1)))
    for name, value in (("signups", 7), ("events", 99)):
        fetch(
            database_url,
            "INSERT INTO daily_metrics VALUES ('2026-01-01', $1, '', '', $2)",
            name,
            value,
        )
    settings = Settings(database_url=database_url)
    migrate(database_url, settings)
    asyncio.run(guide.carry(settings))
    metrics = "SELECT metric_name, sum(value)::int FROM daily_metrics WHERE dimension_key = ''"
    assert sorted(fetch(database_url, f"{metrics} GROUP BY 1")) == [("events", 1), ("signups", 7)]


def test_a_table_with_other_columns_is_not_the_guides(database_url: str) -> None:
    guided(database_url, "CREATE TABLE raw_events (id int)")
    with pytest.raises(CommandError, match='"raw_events" already exists'):
        migrate(database_url, Settings())


def test_the_command_says_what_it_carried_over(database_url: str) -> None:
    guided(database_url)
    add(database_url, ("ada", "{}", ago(days=1)), ("bob", "{}", ago(days=400)))
    endless = f"{uuid.UUID(int=1)}"
    columns = "id, session_id, event_type, event_action, timestamp"
    fetch(
        database_url,
        f"INSERT INTO raw_events ({columns}) VALUES ('{endless}', 's', 'e', 'a', 'infinity')",
    )
    migrate(database_url, Settings())
    servers = {"DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:1"}
    assert "not carried over; run `analytics migrate`" in analytics("doctor", **servers).stdout
    done = analytics("migrate", **servers)
    assert (done.returncode, done.stderr) == (0, "")
    _, carried, unreadable, expired = done.stdout.splitlines()
    assert carried == (
        "carried 2 events over from the deployment guide's raw_events;"
        " that table stays as raw_events_guide"
    )
    assert unreadable == (
        "1 have a time that is infinite or outside the years 2 to 9998, so they stay in "
        f"raw_events_guide only: {endless} at infinity"
    )
    assert expired.startswith("1 are older than RETENTION_DAYS=90")
    again = analytics("migrate", **servers)
    assert again.stdout.startswith("nothing to do: the tables are at ")
    assert len(again.stdout.splitlines()) == 1
    assert "carried over" not in analytics("doctor", **servers).stdout
