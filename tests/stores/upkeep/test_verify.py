"""Verifying compares rollups with raw rows, and finds what is not true."""

import pytest

from analytics.stores import PostgresStore
from tests.stores.conftest import a_job, ago, an_event
from tests.stores.upkeep.test_rollups import checked


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE rollups SET counts = '\\x9291c091cd03e7'"
        " WHERE key = '' AND event_type = '' AND span = 1",
        "DELETE FROM rollups WHERE key = '' AND event_type = 'engagement'",
        "UPDATE rollups SET event_action = 'other' WHERE event_action = 'click'",
        "UPDATE rollups SET start = start + 24 WHERE span = 24",
    ],
)
async def test_verify_finds_a_row_that_is_not_true(store: PostgresStore, tampering: str) -> None:
    event = an_event(timestamp=ago(hours=1))
    await store.write([a_job(event)])
    await store.compact()
    await checked(store)
    await store._pool.execute(tampering)
    with pytest.raises(AssertionError):
        await checked(store)
