"""Days are counted anew from raw rows: history, and days whose rows others changed."""

import random

import anyio
import pytest

from analytics.derived.cells import ANY, RollupKey
from analytics.derived.instants import BEGINNING, DAY_SPAN, day_of
from analytics.stores import PostgresStore
from analytics.stores.upkeep import coverage, rebuild
from tests.stores.conftest import NOW, a_job, ago, ask, connected, opened
from tests.stores.upkeep.test_rollups import DIMENSIONS, INSERT_WITHOUT_DELTA, checked, some, total


async def test_a_row_written_without_a_delta_makes_its_day_incomplete_until_it_is_healed(
    store: PostgresStore,
) -> None:
    await store.write([a_job(*some(20, random.Random(4)))])
    await store.compact()
    await store._pool.execute(INSERT_WITHOUT_DELTA, NOW)
    today = [report for report in await checked(store) if not report.complete]
    assert [day_of(report.day) for report in today] == [day_of(NOW)]
    await store.maintain()
    assert all(report.complete for report in await checked(store))
    day = RollupKey(DAY_SPAN, day_of(NOW), ANY, ANY, ANY)
    assert (await total(store, day))[None].count == await ask(
        store,
        "SELECT count(*) FROM raw_events WHERE timestamp >= date_trunc('day', $1, 'UTC')",
        NOW,
    )


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM raw_events WHERE user_id = 'u1'",
        "UPDATE raw_events SET user_id = 'other' WHERE user_id = 'u1'",
    ],
)
async def test_rows_changed_by_hand_are_read_again(store: PostgresStore, change: str) -> None:
    await store.write([a_job(*some(50, random.Random(5)))])
    await store.compact()
    await store._pool.execute(change)
    assert not all(report.complete for report in await checked(store))
    await store.maintain()
    assert all(report.complete for report in await checked(store))


async def as_before_the_migration(store: PostgresStore) -> None:
    """Rows but no rollups, as revision 0002 finds them."""
    await store._pool.execute(
        "DELETE FROM rollups; DELETE FROM rollup_deltas;"
        " DELETE FROM people; DELETE FROM people_last"
    )
    await store._pool.execute("UPDATE rollup_since SET start = $1", day_of(NOW) + 48)


async def test_history_is_rebuilt_from_the_newest_day_to_the_oldest_and_goes_on_where_it_was(
    store: PostgresStore,
) -> None:
    await store.write([a_job(*some(60, random.Random(6)))])
    await as_before_the_migration(store)
    store._recorder.__init__(("page", "$os"))  # type: ignore[misc]
    assert not any(report.complete for report in await checked(store))
    async with store._pool.acquire() as connection:
        first = await anext(rebuild.missing(connection, "default", DIMENSIONS))
        assert first == day_of(NOW)
    assert [report.complete for report in await checked(store)][-1]
    await store.write([a_job(*some(10, random.Random(7)))])
    async with store._pool.acquire() as connection:
        rest = [day async for day in rebuild.missing(connection, "default", DIMENSIONS)]
        assert rest == sorted(rest, reverse=True)
        assert first not in rest
        assert await rebuild.finish(connection)
    assert all(report.complete for report in await checked(store))
    assert await coverage.since(store._pool, "any other") == BEGINNING
    await store.write([a_job(*some(10, random.Random(8)))])
    await store.compact()
    assert all(report.complete for report in await checked(store))


async def test_a_project_made_after_the_migration_is_incomplete_until_rebuilds_are_finished(
    store: PostgresStore,
) -> None:
    await store._pool.execute("UPDATE rollup_since SET start = $1", day_of(NOW) + 48)
    await store.write([a_job(*some(10, random.Random(9), project="new"))])
    await store.compact()
    assert not any(report.complete for report in await checked(store, "new"))
    async with store._pool.acquire() as connection:
        assert not await rebuild.finish(connection)
        [day async for day in rebuild.missing(connection, "new", DIMENSIONS)]
        assert await rebuild.finish(connection)
    assert all(report.complete for report in await checked(store, "new"))


async def test_retention_that_moves_on_meanwhile_does_not_keep_a_rebuild_from_finishing(
    store: PostgresStore,
) -> None:
    await store.write([a_job(*some(10, random.Random(9)))])
    async with store._pool.acquire() as connection:
        [day async for day in rebuild.missing(connection, "default", DIMENSIONS)]
        await coverage.forget(connection, ago(hours=24 * 30))
        assert await rebuild.finish(connection)
    assert all(report.complete for report in await checked(store))


async def test_events_are_stored_while_a_rebuild_runs(migrated_url: str) -> None:
    async with opened(migrated_url) as store, connected(migrated_url) as connection:
        await store.write([a_job(*some(60, random.Random(10)))])

        async def write() -> None:
            dice = random.Random(11)
            while True:
                await store.write([a_job(*some(10, dice))])
                await store.compact()

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            for _ in range(5):
                for hours in (0, 25, 60):
                    await rebuild.day(connection, "default", day_of(ago(hours=hours)), DIMENSIONS)
            group.cancel_scope.cancel()
        await checked(store)
        await store.compact()
        await checked(store)


async def test_a_stray_row_that_commits_during_a_rebuild_stays_marked(migrated_url: str) -> None:
    async with (
        opened(migrated_url) as store,
        connected(migrated_url) as stranger,
        connected(migrated_url) as connection,
    ):
        await store.write([a_job(*some(10, random.Random(12)))])
        await stranger.execute(INSERT_WITHOUT_DELTA, NOW)
        async with stranger.transaction():
            await stranger.execute(INSERT_WITHOUT_DELTA, NOW)
            await rebuild.day(connection, "default", day_of(NOW), DIMENSIONS)
        assert not all(report.complete for report in await checked(store))
        await store.maintain()
        assert all(report.complete for report in await checked(store))
