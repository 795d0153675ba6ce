"""The outcomes of jobs are kept as long as the queue may deliver them again."""

import uuid

from analytics.stores import PostgresStore
from tests.stores.conftest import a_job, an_event, ask


async def test_the_sweep_forgets_old_jobs_that_the_queue_no_longer_holds(
    store: PostgresStore,
) -> None:
    held, gone, fresh = (a_job(an_event(), id=f"{uuid.uuid4().hex}.1") for _ in range(3))
    await store.write([held, gone])
    await ask(store, "UPDATE stored_jobs SET stored_at = stored_at - INTERVAL '2 minutes'")
    await store.write([fresh])
    asked: list[str] = []

    async def waiting(ids: list[str]) -> set[str]:
        asked.extend(ids)
        return {held.id}

    await store.sweep(waiting)
    assert sorted(asked) == sorted([held.id, gone.id])
    assert await ask(store, "SELECT array_agg(id ORDER BY id) FROM stored_jobs") == sorted(
        [held.id, fresh.id]
    )
