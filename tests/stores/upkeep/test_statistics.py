"""Statistics: what changed much is analyzed, once, on every layout."""

import asyncpg
import pytest

from analytics.stores import PostgresStore
from analytics.stores.upkeep import statistics
from tests.stores.conftest import a_job, ago, an_event

ANALYZED = """
SELECT relname FROM pg_class WHERE reltuples >= 0 AND (
    relname = ANY($1)
    OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'raw_events'::regclass)
)
"""


async def without_autovacuum(store: PostgresStore) -> None:
    """From now on nobody else analyzes these tables."""
    children = await store._pool.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'raw_events'::regclass"
    )
    for name in [*statistics.NAMES, *(name for (name,) in children)]:
        await store._pool.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = off)")


async def fill(store: PostgresStore, events: int, project: str = "default", days: int = 0) -> None:
    at = ago(days=days)
    sent = [
        an_event(user_id=f"{project}{n}", project=project, named=False, timestamp=at)
        for n in range(events)
    ]
    await store.write([a_job(*sent)])
    async with store._pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")


async def expected(store: PostgresStore, project: str) -> int:
    """How many people of a project PostgreSQL expects."""
    rows = await store._pool.fetch(f"EXPLAIN SELECT FROM people WHERE project = '{project}'")
    return int(rows[0][0].partition("rows=")[2].partition(" ")[0])


async def analyzed(store: PostgresStore) -> set[str]:
    return {name for (name,) in await store._pool.fetch(ANALYZED, statistics.NAMES)}


async def test_a_bulk_load_is_analyzed_in_all_partitions_and_nothing_else(
    store: PostgresStore,
) -> None:
    before = await analyzed(store)
    await fill(store, 2000)
    await fill(store, 2000, days=9)
    await store.analyze()
    assert await expected(store, "default") == 2000
    now = await analyzed(store) - before
    assert "people" in now
    assert len({name for name in now if name.startswith(("raw_events_p", "_hyper"))}) == 2
    assert "dead_letters" not in now


async def test_a_new_project_is_noticed_beside_a_large_one(
    plain_store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await without_autovacuum(plain_store)
    await fill(plain_store, 4000)
    await plain_store.analyze()
    await fill(plain_store, 600, "small")
    await plain_store.analyze()
    assert await expected(plain_store, "small") < 100, "so few rows are no reason"
    await fill(plain_store, 1000, "new")
    await plain_store.analyze()
    assert await expected(plain_store, "new") > 500
    monkeypatch.setattr(statistics, "SHARE", 1)
    monkeypatch.setattr(statistics, "MANY_ROWS", 1000)
    await fill(plain_store, 1100, "newest")
    await plain_store.analyze()
    assert await expected(plain_store, "newest") < 100, "it was analyzed a moment ago"
    monkeypatch.setattr(statistics, "PAUSE_MINUTES", 0)
    await plain_store.analyze()
    assert await expected(plain_store, "newest") > 500


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
        asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
        asyncpg.UndefinedTableError("the partition was just dropped"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_run_ends_in_time_and_a_table_that_fails_keeps_no_other_from_it(
    plain_store: PostgresStore, monkeypatch: pytest.MonkeyPatch, error: asyncpg.PostgresError
) -> None:
    await without_autovacuum(plain_store)
    await fill(plain_store, 3000)
    ran: list[str] = []
    execute = asyncpg.Connection.execute

    async def watched(self: asyncpg.Connection, query: str, *args: object, **kw: object) -> str:
        if query.startswith("ANALYZE"):
            ran.append(query.partition(" ")[2])
            if ran[-1] == "people":
                raise error
        done: str = await execute(self, query, *args, **kw)
        return done

    monkeypatch.setattr(asyncpg.Connection, "execute", watched)
    async with plain_store._pool.acquire() as connection:
        await statistics.refresh(connection, seconds=-1)
        assert len(ran) == 1
        await statistics.refresh(connection)
    assert "people" in ran
    assert {name for name in await analyzed(plain_store) if name.startswith("raw_events_p")}
