"""Plain PostgreSQL: partitions are made ahead of time and on demand, and dropped when too old."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import metrics
from analytics.errors import TransientStoreError
from analytics.events import Outcome
from analytics.settings import Settings
from analytics.stores import PostgresStore, migrate
from analytics.stores.layouts.native import Partition, gaps, partitions, ready_until
from tests.examples import examples
from tests.stores.conftest import NOW, a_job, ago, an_event, ask, connected, opened, rows

DAY = timedelta(days=1)


async def ranges(store: PostgresStore) -> list[Partition]:
    async with store._pool.acquire() as connection:
        return await partitions(connection)


async def test_two_partitions_stand_ready_after_the_current_one(plain_store: PostgresStore) -> None:
    await plain_store.maintain()
    there = await ranges(plain_store)
    assert [partition.until - partition.since for partition in there] == [7 * DAY] * 3
    assert there[0].since <= datetime.now(UTC) < there[0].until == there[1].since
    assert metrics.partitions_end.get({}) == there[-1].until.timestamp()


async def test_ten_years_of_events_get_their_partitions(migrated_url: str) -> None:
    async with opened(migrated_url, retention_days=0) as store:
        events = [an_event(timestamp=ago(days=day)) for day in range(0, 3650, 7)]
        random.Random(1).shuffle(events)
        assert (await store.write([a_job(*events)])).outcomes == [Outcome(stored=len(events))]
        assert await rows(store) == len(events)
        there = await ranges(store)
        assert 120 <= len(there) <= 130
        assert all(one.until == other.since for one, other in pairwise(there))


async def test_several_processors_may_need_the_same_partition_at_once(migrated_url: str) -> None:
    outcomes: list[Outcome] = []

    async def write(store: PostgresStore) -> None:
        outcomes.extend(
            (
                await store.write(
                    [a_job(*(an_event(timestamp=ago(days=7 * week)) for week in range(8)))]
                )
            ).outcomes
        )

    async with (
        opened(migrated_url) as one,
        opened(migrated_url) as other,
        anyio.create_task_group() as group,
    ):
        for store in (one, other) * 3:
            group.start_soon(write, store)
    assert outcomes == [Outcome(stored=8)] * 6


async def test_a_default_partition_that_somebody_made_takes_what_has_no_other(
    migrated_url: str,
) -> None:
    async with opened(migrated_url) as store:
        await ask(store, "CREATE TABLE anything PARTITION OF raw_events DEFAULT")
        event = an_event(timestamp=ago(days=400))
        assert (await store.write([a_job(event)])).outcomes == [Outcome(stored=1)]
        assert (await store.write([a_job(event)])).outcomes == [Outcome(duplicate=1)]
        assert await ask(store, "SELECT count(*) FROM anything") == 1
        await store.maintain()
        assert len(await ranges(store)) == 3


async def test_a_new_partition_does_not_wait_for_those_who_insert(migrated_url: str) -> None:
    async with (
        opened(migrated_url, job_timeout=3) as store,
        connected(migrated_url) as other,
        other.transaction(),
    ):
        await other.execute(
            "INSERT INTO raw_events (session_id, event_type, event_action) VALUES ('s', 't', 'a')"
        )
        assert (await store.write([a_job(an_event(timestamp=ago(days=50)))])).outcomes == [
            Outcome(stored=1)
        ]


async def test_partitions_go_after_the_retention_and_the_counts_stay(migrated_url: str) -> None:
    async with opened(migrated_url, retention_days=30) as store:
        await store.write([a_job(*(an_event(timestamp=ago(days=day)) for day in range(60)))])
        await store.maintain()
        oldest = (await ranges(store))[0]
        assert oldest.until > datetime.now(UTC) - 30 * DAY >= oldest.since
        assert await ask(
            store, "SELECT count(*) FROM pg_class WHERE relname LIKE 'raw_events_p________'"
        ) == len(await ranges(store))
        assert (
            await ask(
                store,
                "SELECT count(*) FROM raw_events WHERE timestamp > now() - INTERVAL '30 days'",
            )
            == 30
        )
        assert (
            await ask(store, "SELECT sum(value)::int FROM daily_metrics WHERE dimension_key = ''")
            == 60
        )


async def test_a_drop_that_was_interrupted_is_finished_next_time(migrated_url: str) -> None:
    async with opened(migrated_url, retention_days=30) as store:
        await store.write([a_job(*(an_event(timestamp=ago(days=day)) for day in (100, 90)))])
        one, _, *_ = await ranges(store)
        await ask(store, f"COMMENT ON TABLE {one.name} IS 'expired'")
        await ask(store, f"ALTER TABLE raw_events DETACH PARTITION {one.name}")
        await store.maintain()
        assert (
            await ask(
                store, "SELECT count(*) FROM pg_class WHERE relname LIKE 'raw_events_p________'"
            )
            == 3
        )


async def test_a_detachment_that_timed_out_is_finished_next_time(migrated_url: str) -> None:
    async with (
        opened(migrated_url, retention_days=30, job_timeout=1) as store,
        connected(migrated_url) as reader,
    ):
        await store.write([a_job(an_event(timestamp=ago(days=100)))])
        async with reader.transaction():
            await reader.fetch("SELECT FROM raw_events")
            with pytest.raises(TransientStoreError):
                await store.maintain()
        assert (await ranges(store))[0].leaving
        assert (await store.write([a_job(an_event())])).outcomes == [Outcome(stored=1)]
        await store.maintain()
        assert (
            await ask(
                store, "SELECT count(*) FROM pg_class WHERE relname LIKE 'raw_events_p________'"
            )
            == 3
        )


async def test_a_partition_that_an_operator_detached_is_left_alone(migrated_url: str) -> None:
    async with opened(migrated_url, retention_days=30) as store:
        await store.write([a_job(an_event(timestamp=ago(days=100)))])
        kept = (await ranges(store))[0].name
        await ask(store, f"ALTER TABLE raw_events DETACH PARTITION {kept}")
        await store.maintain()
        assert await ask(store, f"SELECT count(*) FROM {kept}") == 1


async def test_the_setting_may_change_between_weeks_and_months(migrated_url: str) -> None:
    ages = [0, 3, 10, 40, 75, 200, 300]
    for retention in (0, 90, 1000, 30, 0):
        async with opened(migrated_url, retention_days=retention) as store:
            kept = [an_event(timestamp=ago(days=age)) for age in ages]
            assert (await store.write([a_job(*kept)])).outcomes == [Outcome(stored=len(ages))]
            await store.maintain()
            there = await ranges(store)
            assert all(one.until <= other.since for one, other in pairwise(there))
            assert sum(partition.since > datetime.now(UTC) for partition in there) >= 2


async def test_the_newest_partitions_are_there_from_the_migration_on(database_url: str) -> None:
    migrate(database_url, Settings())
    async with opened(database_url) as store:
        assert len(await ranges(store)) == 3


def test_what_stands_ready_ends_at_the_first_gap() -> None:
    weeks = [
        Partition(f"w{number}", NOW + (number * 7 - 3) * DAY, NOW + (number * 7 + 4) * DAY)
        for number in (0, 1, 3)
    ]
    assert ready_until(weeks, NOW) == NOW + 11 * DAY
    assert ready_until(weeks[1:], NOW) == NOW


@examples(300)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 5000), max_size=12), st.sampled_from([0, 30, 366, 367])),
        max_size=5,
    ),
)
def test_gaps_never_overlap_and_leave_no_moment_out(steps: list[tuple[list[int], int]]) -> None:
    there: list[Partition] = []
    for ages, retention in steps:
        moments = [NOW - age * DAY for age in ages]
        there = sorted(
            there + gaps(there, moments, monthly=Settings(retention_days=retention).monthly),
            key=lambda partition: partition.since,
        )
        assert all(one.until <= other.since for one, other in pairwise(there))
        assert all(
            any(partition.since <= moment < partition.until for partition in there)
            for moment in moments
        )
        assert all(partition.since < partition.until for partition in there)
        assert len({partition.name for partition in there}) == len(there)


@pytest.mark.parametrize(
    ("span", "retention", "since", "until"),
    [
        ("auto", 90, "2026-11-23", "2026-11-30"),
        ("auto", 366, "2026-11-23", "2026-11-30"),
        ("auto", 367, "2026-11-01", "2026-12-01"),
        ("auto", 0, "2026-11-01", "2026-12-01"),
        ("month", 90, "2026-11-01", "2026-12-01"),
        ("week", 0, "2026-11-23", "2026-11-30"),
    ],
)
def test_a_partition_is_as_told_else_a_week_up_to_a_year_of_retention_and_a_month_beyond(
    span: str, retention: int, since: str, until: str
) -> None:
    (made,) = gaps(
        [],
        [datetime(2026, 11, 25, 23, 59, tzinfo=UTC)],
        monthly=Settings(partition_span=span, retention_days=retention).monthly,
    )
    assert (f"{made.since:%Y-%m-%d}", f"{made.until:%Y-%m-%d}") == (since, until)
