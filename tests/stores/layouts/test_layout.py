"""The layout of a database is seen from its tables; without them there is none."""

import pytest

from analytics.errors import TransientStoreError
from analytics.settings import Settings
from analytics.stores import PostgresStore


async def test_a_database_without_tables_is_to_be_migrated_first(database_url: str) -> None:
    with pytest.raises(TransientStoreError, match="run `analytics migrate`"):
        await PostgresStore.open(Settings(database_url=database_url))


async def test_a_partitioned_table_is_the_plain_layout(plain_store: PostgresStore) -> None:
    assert plain_store.layout.name == "plain"
