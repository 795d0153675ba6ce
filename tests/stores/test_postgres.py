"""The store says whether it can be opened, and how it is."""

import pytest

from analytics.embedded import Postgres
from analytics.errors import TransientStoreError, Unavailable
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.stores.conftest import connected, opened


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
