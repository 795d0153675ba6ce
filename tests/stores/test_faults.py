"""A poison event becomes a dead letter at once; on a passing fault everything is stored later."""

import contextlib
import os
import random
import signal
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import anyio
import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import SuspectBatch, TransientStoreError
from analytics.events import Event, Job, Outcome
from analytics.stores import PostgresStore
from analytics.stores.faults import FaultKind, classify, transient
from tests.examples import examples
from tests.servers import PASSWORD
from tests.stores.conftest import a_job, ago, an_event, ask, connected, opened, rows
from tests.waiting import until

NUL = b'{"a":"\\u0000"}'
HUGE = b'{"a":' + b"9" * 140_000 + b"}"


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (an_event(metadata=NUL), "untranslatable_character"),
        (an_event(metadata=NUL, named=False), "untranslatable_character"),
        (an_event(metadata=HUGE), "numeric_value_out_of_range"),
        (an_event(metadata=b"{"), "invalid_text_representation"),
        (an_event(metadata=b"\xff"), "character_not_in_repertoire"),
        (an_event(session_id="s\0"), "character_not_in_repertoire"),
        (an_event(project="p\0"), "character_not_in_repertoire"),
        (an_event(event_type="x" * 101), "string_data_right_truncation"),
        (an_event(timestamp=datetime(9999, 12, 31, 23, tzinfo=UTC)), "check_violation"),
    ],
    ids=[
        "NUL in metadata",
        "NUL, no id",
        "huge number",
        "no JSON",
        "no UTF-8",
        "NUL in text",
        "NUL in the project",
        "too long",
        "end of the calendar",
    ],
)
async def test_one_poison_event_in_500_is_one_dead_letter(
    plain_store: PostgresStore, poison: Event, reason: str
) -> None:
    events = [an_event(timestamp=ago(hours=hour)) for hour in range(499)]
    events.insert(321, poison)
    job, healthy = a_job(*events), a_job(an_event())
    written = await plain_store.write([healthy, job])
    assert written.outcomes == [Outcome(stored=1), Outcome(stored=499, dead_lettered=1)]
    assert poison not in written.stored
    assert await rows(plain_store) == 500
    (letter,) = await plain_store.dead_letters.page()
    assert (letter.job_id, letter.event_id, letter.events, letter.reason) == (
        job.id,
        poison.id,
        1,
        reason,
    )
    assert letter.decode() == [poison]


async def test_one_poison_event_in_500_is_one_dead_letter_on_every_layout(
    store: PostgresStore,
) -> None:
    events = [
        an_event(timestamp=ago(hours=hour), metadata=NUL if hour == 77 else b"{}")
        for hour in range(500)
    ]
    assert (await store.write([a_job(*events)])).outcomes == [Outcome(stored=499, dead_lettered=1)]
    assert await rows(store) == 499
    assert await store.dead_letters.count() == 1


async def test_a_batch_of_poison_is_all_dead_letters(plain_store: PostgresStore) -> None:
    jobs = [a_job(*(an_event(metadata=NUL) for _ in range(20))) for _ in range(3)]
    assert (await plain_store.write(jobs)).outcomes == [Outcome(dead_lettered=20)] * 3
    assert await plain_store.dead_letters.count() == 60


async def test_poison_duplicates_and_new_events_together_add_up(store: PostgresStore) -> None:
    known, unnamed = an_event(), an_event(named=False)
    await store.write([a_job(known, unnamed)])
    retry = msgspec.structs.replace(known, timestamp=ago(days=1))
    written = await store.write(
        [
            a_job(retry, an_event(metadata=NUL), unnamed),
            a_job(an_event(), an_event(session_id="\0"), retry),
        ]
    )
    assert written.outcomes == [
        Outcome(duplicate=2, dead_lettered=1),
        Outcome(stored=1, duplicate=1, dead_lettered=1),
    ]
    assert await rows(store) == 3


async def test_the_id_of_a_dead_letter_is_free_for_its_replay(store: PostgresStore) -> None:
    poison = an_event(metadata=NUL)
    await store.write([a_job(poison)])
    (letter,) = await store.dead_letters.page()
    healed = msgspec.structs.replace(poison, metadata=b"{}")
    assert (await store.write([a_job(healed, replays=[letter.number])])).outcomes == [
        Outcome(stored=1)
    ]
    assert await store.dead_letters.page() == []
    assert await rows(store) == 1


@examples(15)
@given(seed=st.integers(0, 2**32))
async def test_counts_equal_rows_after_random_concurrent_batches(
    migrated_url: str, seed: int
) -> None:
    dice = random.Random(seed)
    pool = [uuid.UUID(int=dice.getrandbits(128)) for _ in range(30)]

    def event() -> Event:
        return an_event(
            id=dice.choice(pool),
            project=dice.choice(["a", "b"]),
            event_type=dice.choice(["x", "y", "", "é"]),
            timestamp=ago(days=dice.randrange(4)),
            named=dice.random() < 0.7,
            metadata=NUL if dice.random() < 0.02 else b"{}",
        )

    jobs = [a_job(*(event() for _ in range(dice.randrange(12)))) for _ in range(30)]
    async with opened(migrated_url) as store:
        before = await rows(store)
        outcomes: list[tuple[Job, Outcome]] = []

        async def write(batch: Sequence[Job]) -> None:
            outcomes.extend(zip(batch, (await store.write(batch)).outcomes, strict=True))

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(write, dice.sample(jobs, 5))
        for job, outcome in outcomes:
            assert outcome.stored + outcome.duplicate + outcome.dead_lettered == len(job.events)
        distinct = {job.id: outcome for job, outcome in outcomes}
        assert all(distinct[job.id] == outcome for job, outcome in outcomes)
        assert sum(outcome.stored for outcome in distinct.values()) == await rows(store) - before


async def test_a_lock_held_elsewhere_is_waited_for_only_so_long(migrated_url: str) -> None:
    async with opened(migrated_url, job_timeout=2) as store:
        job = a_job(an_event())
        async with connected(migrated_url) as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE daily_metrics")
            with pytest.raises(TransientStoreError, match="lock timeout"):
                await store.write([job])
        assert (await store.write([job])).outcomes == [Outcome(stored=1)]


async def test_a_statement_that_takes_too_long_is_tried_again(migrated_url: str) -> None:
    async with opened(migrated_url, job_timeout=2) as store:
        async with connected(migrated_url) as admin:
            await admin.execute(SLOW)
            with pytest.raises(TransientStoreError, match="statement timeout"):
                await store.write([a_job(an_event())])
            await admin.execute("DROP TRIGGER slow ON daily_metrics")
        assert (await store.write([a_job(an_event())])).outcomes == [Outcome(stored=1)]


CUT_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(20); RETURN NULL; END
$$;
CREATE TRIGGER slow AFTER INSERT ON daily_metrics FOR EACH STATEMENT EXECUTE FUNCTION slow()
"""


async def test_a_backend_that_ends_in_mid_write_leaves_nothing_and_the_retry_succeeds(
    migrated_url: str,
) -> None:
    async with opened(migrated_url) as store:
        job = a_job(*(an_event() for _ in range(50)))
        async with connected(migrated_url) as admin, anyio.create_task_group() as group:
            await admin.execute(SLOW)

            async def fail() -> None:
                with pytest.raises(TransientStoreError):
                    await store.write([job])

            group.start_soon(fail)
            await until(
                lambda: admin.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE wait_event = 'PgSleep'"
                )
            )
            await admin.execute("DROP TRIGGER slow ON daily_metrics")
        assert await rows(store) == 0
        assert (await store.write([job])).outcomes == [Outcome(stored=50)]


async def test_a_frozen_backend_is_given_up_and_another_one_taken(migrated_url: str) -> None:
    async with opened(migrated_url, job_timeout=2) as store:
        await store.write([a_job(an_event())])
        pid = await ask(store, "SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        try:
            with anyio.fail_after(20), pytest.raises(TransientStoreError):
                await store.write([a_job(an_event())])
            with anyio.fail_after(20):
                assert (await store.write([a_job(an_event())])).outcomes == [Outcome(stored=1)]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert await rows(store) == 2


async def test_a_read_only_database_is_waited_for(migrated_url: str) -> None:
    async with opened(migrated_url) as store:
        job = a_job(an_event())
        name = migrated_url.rpartition("/")[2]
        async with connected(migrated_url) as admin:
            await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            await admin.execute(CUT_OTHERS)
            for _ in range(2):
                with pytest.raises(TransientStoreError):
                    await store.write([job])
            await admin.execute(
                "SET default_transaction_read_only = off;"
                f' ALTER DATABASE "{name}" RESET default_transaction_read_only'
            )
            await admin.execute(CUT_OTHERS)
        with contextlib.suppress(TransientStoreError):
            await store.write([job])
        assert (await store.write([job])).outcomes == [Outcome(stored=1)]


async def test_too_many_connections_is_waited_for(migrated_url: str) -> None:
    role = f"role_of_{migrated_url.rpartition('/')[2]}"
    async with connected(migrated_url) as admin:
        await admin.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"
            " IN ROLE pg_read_all_data, pg_write_all_data"
        )
        try:
            async with opened(migrated_url.replace("//postgres:", f"//{role}:")) as store:
                await store._pool.expire_connections()
                await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
                with pytest.raises(TransientStoreError, match="too many connections"):
                    await store.write([a_job(an_event())])
                await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1")
                assert (await store.write([a_job(an_event())])).outcomes == [Outcome(stored=1)]
        finally:
            await admin.execute(f"DROP ROLE {role}")


async def test_a_schema_that_is_not_ours_alerts_and_never_dead_letters(
    migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(migrated_url) as store:
        job = a_job(an_event())
        async with connected(migrated_url) as admin:
            await admin.execute("ALTER TABLE raw_events RENAME COLUMN session_id TO session")
            with pytest.raises(TransientStoreError):
                await store.write([job])
            assert "until this is put right" in caplog.text
            await admin.execute("ALTER TABLE raw_events RENAME COLUMN session TO session_id")
        assert (await store.write([job])).outcomes == [Outcome(stored=1)]
        assert await store.dead_letters.count() == 0


async def test_a_prepared_statement_older_than_the_schema_is_prepared_anew(
    migrated_url: str,
) -> None:
    async with opened(migrated_url) as store:
        await store.write([a_job(an_event())])
        async with connected(migrated_url) as admin:
            await admin.execute(
                "ALTER TABLE stored_jobs ALTER stored TYPE bigint, ALTER duplicate TYPE bigint"
            )
            await admin.execute("ALTER TABLE raw_events ADD COLUMN more text")
        assert (await store.write([a_job(an_event())])).outcomes == [Outcome(stored=1)]


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        (
            "08000 08006 40001 40P01 53100 53200 53300 55P03 57014 57P01 57P03 25006",
            FaultKind.TRANSIENT,
        ),
        ("22P05 22021 22003 23502 54000 21000", FaultKind.POISON),
        ("42P01 42703 42501 3D000 XX000 25P02 0A000", FaultKind.SCHEMA),
        ("23505", FaultKind.TWIN),
        ("23514", FaultKind.NO_PARTITION),
    ],
    ids=["transient", "poison", "schema", "twin", "no partition"],
)
def test_what_an_error_means_is_decided_by_its_sqlstate(states: str, kind: FaultKind) -> None:
    for state in states.split():
        assert classify(asyncpg.PostgresError.new({"C": state, "M": "no"})) is kind, state


@pytest.mark.parametrize(
    ("error", "suspect", "slow"),
    [
        (asyncpg.DeadlockDetectedError("deadlock"), True, False),
        (asyncpg.LockNotAvailableError("lock timeout"), True, False),
        (asyncpg.QueryCanceledError("statement timeout"), True, True),
        (TimeoutError(), True, True),
        (asyncpg.UndefinedColumnError("no such column"), True, False),
        (RuntimeError("a bug"), True, False),
        (asyncpg.DiskFullError("no space"), False, False),
        (asyncpg.TooManyConnectionsError("too many"), False, False),
        (asyncpg.ReadOnlySQLTransactionError("read-only"), False, False),
        (ConnectionResetError("reset"), False, False),
    ],
    ids=repr,
)
def test_a_batch_is_suspect_only_where_the_reason_may_lie_with_it(
    error: Exception, suspect: bool, slow: bool
) -> None:
    raised = transient(error)
    assert isinstance(raised, SuspectBatch) is suspect
    assert getattr(raised, "slow", False) is slow
