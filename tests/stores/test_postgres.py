"""The store says whether it can be opened, and how it is."""

from typing import Any

import asyncpg
import pytest

from analytics.embedded import Postgres
from analytics.errors import TransientStoreError, Unavailable
from analytics.events import Outcome
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.stores.writing import transaction
from tests.stores.conftest import a_job, an_event, connected, opened


async def test_no_database_is_a_transient_error(postgres_server: Postgres) -> None:
    settings = Settings(database_url="postgresql://postgres@127.0.0.1:1/none")
    with pytest.raises(TransientStoreError):
        await PostgresStore.open(settings)
    with pytest.raises(TransientStoreError):
        await PostgresStore.open(Settings(database_url=postgres_server.url("nobody_made_this")))


async def test_health_says_what_is_wrong(migrated_url: str) -> None:
    async with opened(migrated_url) as store:
        assert await store.check() == "ok"
        async with connected(migrated_url) as admin:
            await admin.execute("UPDATE alembic_version SET version_num = '0000'")
            with pytest.raises(
                Unavailable, match=r"the schema is at 0000 .* run `analytics migrate`"
            ):
                await store.check()
            await admin.execute("UPDATE alembic_version SET version_num = '9999'")
            assert await store.check() == "ok"
    with pytest.raises(Unavailable, match="does not answer"):
        await store.check()


async def test_a_connection_whose_last_operation_was_interrupted_is_given_to_nobody_else(
    plain_store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = "SELECT pg_backend_pid()"
    before = await plain_store._pool.fetchval(backend)
    store, failed = transaction.store, False

    async def fail_once(*arguments: Any, **options: Any) -> Any:
        nonlocal failed
        if not failed:
            failed = True
            raise asyncpg.InternalClientError("cannot switch to state 15")
        return await store(*arguments, **options)

    monkeypatch.setattr(transaction, "store", fail_once)
    job = a_job(an_event())
    with pytest.raises(TransientStoreError, match="state 15"):
        await plain_store.write([job])
    assert await plain_store._pool.fetchval(backend) != before
    assert (await plain_store.write([job])).outcomes == [Outcome(stored=1)]
