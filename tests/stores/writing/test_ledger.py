"""The ledger forgets no id too early, and no repeat slips through while it turns."""

import random
import uuid
from collections.abc import Awaitable, Callable

import anyio
import msgspec
import pytest

from analytics.events import Event, Outcome
from analytics.stores import PostgresStore
from analytics.stores.writing import ledger
from tests.stores.conftest import a_job, ago, an_event, ask, connected, opened, rows
from tests.waiting import until


async def grow_old(store: PostgresStore, days: float = 7.1) -> None:
    """Let the current ledger be so old."""
    await ask(
        store, "UPDATE ledger_turn SET since = since - make_interval(secs => $1)", days * 86400
    )


def retry(event: Event) -> Event:
    return msgspec.structs.replace(event, timestamp=ago(seconds=random.uniform(1, 1000)))


async def test_an_id_is_remembered_through_one_turn_and_forgotten_at_the_second(
    store: PostgresStore,
) -> None:
    event, other = an_event(), an_event()
    await store.write([a_job(event)])
    await store.maintain()
    assert await ask(store, "SELECT slot FROM ledger_turn") == 0
    await grow_old(store)
    await store.maintain()
    assert await ask(store, "SELECT slot FROM ledger_turn") == 1
    assert (await store.write([a_job(retry(event), other)])).outcomes == [
        Outcome(stored=1, duplicate=1)
    ]
    await grow_old(store)
    await store.maintain()
    assert await ask(store, "SELECT slot FROM ledger_turn") == 0
    assert (await store.write([a_job(retry(event))])).outcomes == [Outcome(stored=1)]
    assert (await store.write([a_job(retry(other))])).outcomes == [Outcome(duplicate=1)]
    assert await rows(store) == 3


async def test_a_repeat_does_not_make_the_ledger_remember_for_ever(store: PostgresStore) -> None:
    event = an_event()
    for _ in range(3):
        await store.write([a_job(retry(event))])
        await grow_old(store)
        await store.maintain()
    assert await rows(store) == 2


@pytest.mark.parametrize("write", [ledger.copy, ledger.insert])
async def test_ids_are_written_in_one_order(
    migrated_url: str, write: Callable[..., Awaitable[object]]
) -> None:
    """So two transactions that share ids wait for each other, and never deadlock."""
    dice = random.Random(5)
    ids = [uuid.UUID(int=dice.getrandbits(128)) for _ in range(300)]
    shuffled = [(project, id_) for project in ("b", "a") for id_ in ids]
    dice.shuffle(shuffled)
    async with connected(migrated_url) as connection:
        await write(connection, 0, shuffled)
        lying = await connection.fetch("SELECT id, project FROM event_ledger_0 ORDER BY ctid")
    assert [(row["id"], row["project"]) for row in lying] == sorted(
        ((id_, project) for project, id_ in shuffled), key=lambda record: (record[0].int, record[1])
    )


async def test_one_id_is_one_event_while_the_ledger_turns_under_load(migrated_url: str) -> None:
    dice = random.Random(3)
    ids = [uuid.UUID(int=dice.getrandbits(128)) for _ in range(40)]
    done = anyio.Event()
    stored: list[Event] = []
    async with opened(migrated_url) as one, opened(migrated_url) as other:

        async def write(store: PostgresStore) -> None:
            for _ in range(15):
                events = [
                    an_event(id=id, timestamp=ago(seconds=dice.uniform(1, 1000)))
                    for id in dice.sample(ids, 10)
                ]
                stored.extend((await store.write([a_job(*events)])).stored)

        async def turn_once() -> None:
            await until(lambda: ask(one, "SELECT count(*) > 5 FROM raw_events"))
            await grow_old(one)
            async with anyio.create_task_group() as both:
                both.start_soon(one.maintain)
                both.start_soon(other.maintain)
            done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(turn_once)
            for store in (one, other) * 3:
                group.start_soon(write, store)
        assert done.is_set()
        assert await ask(one, "SELECT slot FROM ledger_turn") == 1
        assert sorted(event.id for event in stored) == sorted(ids)
        assert await rows(one) == 40


async def test_the_ledger_waits_for_a_transaction_that_writes_ids(migrated_url: str) -> None:
    """A transaction that has read the slot may still write to it; a truncate loses the id."""
    event = an_event()
    outcomes: list[Outcome] = []
    async with (
        opened(migrated_url) as store,
        connected(migrated_url) as blocker,
        anyio.create_task_group() as group,
    ):
        await grow_old(store)

        async def write() -> None:
            outcomes.extend((await store.write([a_job(event)])).outcomes)

        async with blocker.transaction():
            await blocker.execute("LOCK TABLE daily_metrics")
            group.start_soon(write)
            await until(lambda: ask(store, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"))
            group.start_soon(store.maintain)
            await until(
                lambda: ask(
                    store,
                    "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'",
                )
            )
            assert await ask(store, "SELECT slot FROM ledger_turn") == 0
    async with opened(migrated_url) as store:
        assert await ask(store, "SELECT slot FROM ledger_turn") == 1
        assert outcomes == [Outcome(stored=1)]
        assert (await store.write([a_job(retry(event))])).outcomes == [Outcome(duplicate=1)]
