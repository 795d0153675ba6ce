"""Jobs are committed exactly once, whatever repeats them, and their outcomes add up."""

import random
import time
from uuid import UUID

import anyio
import pytest

from analytics.events import Event, Job, Outcome
from analytics.stores import PostgresStore
from tests.stores.conftest import a_job, ago, an_event, ask, connected, opened, rows
from tests.waiting import until


async def test_an_event_is_stored_as_it_was_sent(store: PostgresStore) -> None:
    sent = an_event(metadata='{"page":"/ü","n":[1,2.5,null]}'.encode(), user_id=None)
    written = await store.write([a_job(sent)])
    assert written.outcomes == [Outcome(stored=1)]
    assert written.stored == [sent]
    row = await store._pool.fetchrow("SELECT *, metadata::text AS text FROM raw_events")
    assert (row["project"], row["id"], row["session_id"], row["user_id"]) == (
        sent.project,
        sent.id,
        sent.session_id,
        None,
    )
    assert (row["event_type"], row["event_action"], row["timestamp"], row["created_at"]) == (
        sent.event_type,
        sent.event_action,
        sent.timestamp,
        sent.created_at,
    )
    assert row["text"] == '{"n": [1, 2.5, null], "page": "/ü"}'


async def test_a_job_from_before_events_had_a_limit_is_stored(store: PostgresStore) -> None:
    large = an_event(metadata=b'{"a":"%b"}' % (b"x" * 2_000_000))
    assert (await store.write([a_job(large)])).outcomes == [Outcome(stored=1)]


async def test_a_retry_with_another_timestamp_is_one_event(store: PostgresStore) -> None:
    event = an_event()
    retry = an_event(id=event.id, timestamp=ago(minutes=3))
    assert (await store.write([a_job(event)])).outcomes == [Outcome(stored=1)]
    written = await store.write([a_job(retry, an_event())])
    assert written.outcomes == [Outcome(stored=1, duplicate=1)]
    assert retry not in written.stored
    assert await rows(store) == 2


async def test_a_retry_in_the_same_transaction_is_counted_for_its_own_job(
    store: PostgresStore,
) -> None:
    event = an_event()
    retry = an_event(id=event.id, timestamp=ago(minutes=3))
    written = await store.write(
        [a_job(event, an_event()), a_job(retry), a_job(retry, event, an_event())]
    )
    assert written.outcomes == [
        Outcome(stored=2),
        Outcome(duplicate=1),
        Outcome(stored=1, duplicate=2),
    ]
    assert event in written.stored
    assert await rows(store) == 3


async def test_what_an_earlier_release_stored_under_another_id_is_still_one_event(
    store: PostgresStore,
) -> None:
    before = an_event()
    again = an_event(former=before.id, timestamp=ago(minutes=3))
    assert (await store.write([a_job(before, again)])).outcomes == [Outcome(stored=1, duplicate=1)]
    assert (await store.write([a_job(again)])).outcomes == [Outcome(duplicate=1)]
    # of two events with one former id, neither stands for the other
    one, other = (an_event(former=(UUID(int=7))) for _ in range(2))
    assert (await store.write([a_job(one, other)])).outcomes == [Outcome(stored=2)]
    assert (await store.write([a_job(other), a_job(one)])).outcomes == [Outcome(duplicate=1)] * 2
    elsewhere = an_event(former=before.id, project="other")
    assert (await store.write([a_job(elsewhere)])).outcomes == [Outcome(stored=1)]
    assert await rows(store) == 4


async def test_ids_whose_hashes_are_equal_take_no_longer_than_others(
    plain_store: PostgresStore,
) -> None:
    """Python's hash of a number, and so of a UUID, is its rest modulo 2**61 - 1."""

    async def cpu_seconds(step: int) -> float:
        events = [an_event(id=UUID(int=(i + 1) * step << 1)) for i in range(12_000)]
        began = time.process_time()
        for expected in Outcome(stored=len(events)), Outcome(duplicate=len(events)):
            assert (await plain_store.write([a_job(*events)])).outcomes == [expected]
        return time.process_time() - began

    await cpu_seconds(3)
    others = await cpu_seconds(2**61 - 3)
    assert await cpu_seconds(2**61 - 1) < 4 * others


async def test_the_same_id_in_two_projects_is_two_events(store: PostgresStore) -> None:
    event = an_event()
    other = an_event(id=event.id, project="other")
    assert (await store.write([a_job(event, other)])).outcomes == [Outcome(stored=2)]
    assert (await store.write([a_job(other), a_job(event)])).outcomes == [
        Outcome(duplicate=1),
        Outcome(duplicate=1),
    ]
    assert (await store.write([a_job(an_event(id=event.id, project="third"))])).outcomes == [
        Outcome(stored=1)
    ]
    assert await rows(store) == 3


async def test_a_redelivery_of_events_without_ids_is_one_event(store: PostgresStore) -> None:
    events = [an_event(named=False) for _ in range(10)]
    await store.write([a_job(*events)])
    written = await store.write([a_job(events[3], an_event(named=False), events[3])])
    assert written.outcomes == [Outcome(stored=1, duplicate=2)]
    assert len(written.stored) == 1
    assert await rows(store) == 11


async def test_a_redelivered_job_gets_its_recorded_outcome(store: PostgresStore) -> None:
    job = a_job(an_event(), an_event(metadata=b'{"a":"\\u0000"}'))
    first = await store.write([job])
    again = await store.write([a_job(an_event()), job])
    assert first.outcomes == [Outcome(stored=1, dead_lettered=1)]
    assert again.outcomes == [Outcome(stored=1), first.outcomes[0]]
    assert await rows(store) == 2
    assert await store.dead_letters.count() == 1


async def test_an_import_repeated_after_the_ledgers_window_changes_nothing(
    store: PostgresStore,
) -> None:
    events = [an_event(timestamp=ago(days=day)) for day in range(30)]
    await store.write([a_job(*events)])
    await ask(store, "TRUNCATE event_ledger_0")
    random.Random(1).shuffle(events)
    assert (await store.write([a_job(*events)])).outcomes == [Outcome(duplicate=30)]
    assert await rows(store) == 30


async def test_an_empty_job_is_stored_too(store: PostgresStore) -> None:
    assert (await store.write([a_job(), a_job(an_event())])).outcomes == [
        Outcome(),
        Outcome(stored=1),
    ]
    assert (await store.write([])).outcomes == []


async def test_a_transaction_that_fails_leaves_nothing(plain_store: PostgresStore) -> None:
    await ask(
        plain_store, "ALTER TABLE daily_metrics ADD CONSTRAINT no CHECK (value < 0) NOT VALID"
    )
    with pytest.raises(Exception, match="did not commit"):
        await plain_store.write([a_job(an_event())])
    for table in ("raw_events", "event_ledger_0", "stored_jobs", "dead_letters", "daily_metrics"):
        assert await ask(plain_store, f"SELECT count(*) FROM {table}") == 0


async def test_two_workers_with_the_same_job_commit_it_once(migrated_url: str) -> None:
    outcomes: list[Outcome] = []

    async def write(store: PostgresStore, job: Job) -> None:
        outcomes.extend((await store.write([job])).outcomes)

    async with opened(migrated_url) as one, opened(migrated_url) as other:
        for named in (True, False):
            outcomes.clear()
            job = a_job(*(an_event(named=named) for _ in range(200)))
            async with anyio.create_task_group() as group:
                for store in (one, other, one):
                    group.start_soon(write, store, job)
            assert outcomes == [Outcome(stored=200)] * 3
        assert await rows(one) == 400


@pytest.mark.parametrize("common", ["ids", "keys", "days"])
async def test_overlapping_shuffled_batches_never_deadlock(migrated_url: str, common: str) -> None:
    """Six writes at once, which share ids of the ledger, keys of rows, or only days."""
    dice = random.Random(7)
    taken: list[Outcome] = []

    def some_events() -> list[Event]:
        return [
            an_event(
                project=dice.choice("abc"),
                named=common == "ids",
                event_type=f"type {dice.randrange(20)}",
                timestamp=ago(days=dice.randrange(30), seconds=dice.random()),
            )
            for _ in range(1100)
        ]

    async def write(store: PostgresStore, batch: list[Event]) -> None:
        taken.extend((await store.write([a_job(*batch[:500]), a_job(*batch[500:])])).outcomes)

    async with (
        opened(migrated_url, concurrency=3) as one,
        opened(migrated_url, concurrency=3) as other,
    ):
        for _ in range(3):
            events = some_events()
            async with anyio.create_task_group() as group:
                for store in (one, other) * 3:
                    group.start_soon(
                        write,
                        store,
                        dice.sample(some_events() if common == "days" else events, 1000),
                    )
        assert (
            sum(outcome.stored + outcome.duplicate + outcome.dead_lettered for outcome in taken)
            == 3 * 6 * 1000
        )
        assert sum(outcome.stored for outcome in taken) == await rows(one)
        assert sum(outcome.dead_lettered for outcome in taken) == 0
        assert (
            await ask(
                one, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            )
            == 0
        )


async def test_an_id_that_commits_elsewhere_after_our_look_at_the_ledger_is_a_duplicate(
    migrated_url: str,
) -> None:
    event = an_event()
    outcomes: list[Outcome] = []
    async with (
        opened(migrated_url) as store,
        connected(migrated_url) as twin,
        anyio.create_task_group() as group,
    ):

        async def write() -> None:
            outcomes.extend((await store.write([a_job(event, an_event())])).outcomes)

        async with twin.transaction():
            await twin.execute(
                "INSERT INTO event_ledger_0 VALUES ($1, $2)", event.id, event.project
            )
            group.start_soon(write)
            await until(lambda: ask(store, "SELECT count(*) FROM pg_locks WHERE NOT granted"))
    assert outcomes == [Outcome(stored=1, duplicate=1)]
