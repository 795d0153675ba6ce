"""The outcomes of jobs are kept as long as the queue may deliver them again."""

import asyncio
import uuid

import pytest

from analytics.events import Outcome
from analytics.stores import PostgresStore
from analytics.stores.writing import stored_jobs
from tests.stores.conftest import a_job, an_event, ask, connected


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


@pytest.mark.parametrize("commits", [True, False])
async def test_the_outcome_of_a_job_is_that_of_its_transaction_however_late_it_ends(
    migrated_url: str, commits: bool
) -> None:
    """The transaction may have been given up while it was committing."""
    job_id, outcome = f"{uuid.uuid4().hex}.6", Outcome(3, 2, 1)
    async with (
        connected(migrated_url) as one,
        connected(migrated_url) as two,
        connected(migrated_url) as looker,
    ):
        storing = one.transaction()
        await storing.start()
        await stored_jobs.record(one, {job_id: outcome})
        asking = asyncio.create_task(stored_jobs.settled(two, job_id))
        waits = "SELECT cardinality(pg_blocking_pids($1)) > 0"
        while not await looker.fetchval(waits, two.get_server_pid()):
            assert not asking.done()
        await (storing.commit() if commits else storing.rollback())
        assert await asking == (outcome if commits else None)
        left = "SELECT count(*) FROM stored_jobs WHERE id = $1"
        assert await looker.fetchval(left, job_id) == commits


async def test_a_job_without_an_outcome_can_be_stored_after_it_was_asked_for(
    store: PostgresStore,
) -> None:
    job = a_job(an_event())
    assert await store.recorded(job.id) is None
    written = await store.write([job])
    assert written.outcomes == [Outcome(1)]
    assert await store.recorded(job.id) == Outcome(1)
    assert await store.recorded("no id of ours: \0\ud800") is None
