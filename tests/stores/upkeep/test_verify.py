"""Verifying compares rollups with raw rows, and finds what is not true."""

import pytest

from analytics.derived import cells
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


async def test_a_day_whose_waiting_deltas_make_its_names_too_many_is_compared_without_them(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "MAX_NAMES", 3)
    at = ago(hours=1)
    await store.write([a_job(*(an_event(event_type=name, timestamp=at) for name in "ab"))])
    await store.compact()
    await store.write([a_job(*(an_event(event_type=name, timestamp=at) for name in "cd"))])
    await checked(store)
    await store._pool.execute("UPDATE rollup_deltas SET data = (SELECT data FROM rollup_deltas)")
    await store._pool.execute(
        "INSERT INTO rollup_deltas (project, events, data) "
        "SELECT project, events, data FROM rollup_deltas"
    )
    with pytest.raises(AssertionError):
        await checked(store)
