"""From when on rollups are complete, as retention drops raw rows."""

from analytics.derived.instants import day_of
from analytics.stores.upkeep import coverage
from tests.stores.conftest import a_job, ago, an_event, ask, opened
from tests.stores.upkeep.test_rollups import checked


async def test_rollups_go_before_the_raw_rows_they_were_made_from(migrated_url: str) -> None:
    old = ago(days=100)
    async with opened(migrated_url, retention_days=90) as store:
        await store.write([a_job(an_event(timestamp=old), an_event())])
        await store.compact()
        assert [report.complete for report in await checked(store)] == [True, True]
        await store.maintain()
        assert await ask(store, "SELECT count(*) FROM raw_events") == 1
        assert (
            await ask(store, "SELECT count(*) FROM rollups WHERE start <= $1", day_of(old) + 24)
            == 0
        )
        assert await coverage.since(store._pool, "default") > day_of(old)
        await store.write([a_job(an_event(timestamp=old))])
        await store.compact()
        assert [report.complete for report in await checked(store)] == [False, True]
