"""Real TimescaleDB: policies follow the settings; compressed chunks still take late events."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from analytics.events import Outcome
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.stores.layouts.timescale import POLICIES, SPAN, TimescaleApache
from tests.stores.conftest import a_job, ago, an_event, ask, opened, rows

RUN = """
SELECT job_id FROM timescaledb_information.jobs
WHERE proc_name = $1 AND hypertable_name = 'raw_events'
"""


@pytest.fixture
async def hyper(timescale_url: str) -> AsyncIterator[PostgresStore]:
    """A store on TimescaleDB whose policies are the default's, before and after."""
    async with opened(timescale_url) as store:
        yield store
        await policies(store)


async def policies(store: PostgresStore, **settings: Any) -> dict[str, int]:
    """Maintain with these settings; the policies then, in days."""
    async with store._pool.acquire() as connection:
        await store.layout.maintain(connection, Settings(**settings))
        return {row["proc_name"]: row["after"].days for row in await connection.fetch(POLICIES)}


async def run_policy(store: PostgresStore, name: str) -> None:
    job = await ask(store, RUN, name)
    await ask(store, f"CALL run_job({job})")


async def test_the_migration_makes_a_hypertable_with_both_policies(hyper: PostgresStore) -> None:
    assert hyper.layout.name == "timescale"
    assert await policies(hyper) == {"policy_retention": 90, "policy_compression": 7}


async def test_policies_follow_the_settings(hyper: PostgresStore) -> None:
    assert await policies(hyper, retention_days=30, ledger_days=3) == {
        "policy_retention": 30,
        "policy_compression": 3,
    }
    assert await policies(hyper, retention_days=0) == {"policy_compression": 7}
    assert await policies(hyper, retention_days=45) == {
        "policy_retention": 45,
        "policy_compression": 7,
    }


async def test_chunks_to_come_hold_what_the_setting_says(hyper: PostgresStore) -> None:
    for span, days in (("month", 30), ("week", 7), ("auto", 7)):
        await policies(hyper, partition_span=span)
        assert (await ask(hyper, SPAN)).days == days


async def test_policies_that_are_right_stay_the_same_jobs(hyper: PostgresStore) -> None:
    jobs = """
        SELECT array_agg(job_id ORDER BY job_id) FROM timescaledb_information.jobs
        WHERE hypertable_name = 'raw_events'
    """
    before = await ask(hyper, jobs)
    await hyper.maintain()
    assert await ask(hyper, jobs) == before


async def test_retention_drops_what_is_too_old(hyper: PostgresStore) -> None:
    await hyper.write(
        [a_job(*(an_event(timestamp=ago(days=day)) for day in (0, 50, 80, 120, 200)))]
    )
    await run_policy(hyper, "policy_retention")
    assert await ask(hyper, "SELECT count(*) FROM raw_events") == 3


async def test_late_events_go_into_columns_and_repeats_of_settled_ones_are_found(
    hyper: PostgresStore,
) -> None:
    settled = [an_event(timestamp=ago(days=30, seconds=second)) for second in range(200)]
    unnamed = an_event(timestamp=ago(days=30), named=False)
    await hyper.write([a_job(*settled, unnamed)])
    await run_policy(hyper, "policy_compression")
    assert (
        await ask(
            hyper,
            "SELECT count(*) FROM timescaledb_information.chunks"
            " WHERE hypertable_name = 'raw_events' AND is_compressed",
        )
        > 0
    )
    late = [an_event(timestamp=ago(days=30, seconds=second)) for second in range(50)]
    written = await hyper.write([a_job(*late, settled[7]), a_job(unnamed)])
    assert written.outcomes == [Outcome(stored=50, duplicate=1), Outcome(duplicate=1)]
    await ask(hyper, "TRUNCATE event_ledger_0")
    assert (await hyper.write([a_job(*settled)])).outcomes == [Outcome(duplicate=200)]
    assert await rows(hyper) == 251


async def test_where_the_licence_has_no_policies_old_chunks_are_dropped_by_maintaining(
    hyper: PostgresStore,
) -> None:
    await hyper.write(
        [a_job(*(an_event(timestamp=ago(days=day)) for day in (0, 50, 80, 120, 200)))]
    )
    async with hyper._pool.acquire() as connection:
        await TimescaleApache().maintain(connection, Settings(retention_days=0))
        assert await connection.fetchval("SELECT count(*) FROM raw_events") == 5
        await TimescaleApache().maintain(connection, Settings(retention_days=70))
        assert await connection.fetchval("SELECT count(*) FROM raw_events") == 2
