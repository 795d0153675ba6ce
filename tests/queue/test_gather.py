"""Merging: small jobs share transactions, no job waits for others, a bad job fails alone."""

import asyncio
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from analytics.errors import TransientStoreError
from analytics.events import Books, Job, Outcome
from analytics.queue import Queue, gather, pace, scripts, worker
from analytics.queue.runner import Runner
from analytics.queue.suspects import SHARES
from analytics.settings import Settings
from tests.queue.kit import Ledger, config, drained, enqueue, event, events, working
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.usefixtures("hasty")


def sizes(ledger: Ledger) -> list[int]:
    return [sum(len(job.events) for job in jobs) for jobs in ledger.calls]


async def test_waiting_jobs_share_transactions_of_at_least_the_batch_size(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger
) -> None:
    for _ in range(60):
        await enqueue(redis, events(10))
    async with working(config(redis_url, batch_size=100, concurrency=2), ledger):
        await drained(queue)
    assert sum(sizes(ledger)) == 600
    assert min(sizes(ledger)) >= 100


async def test_what_waits_behind_a_transaction_shares_a_much_larger_one(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger
) -> None:
    async def wait_for_a_second(_: Sequence[Job]) -> None:
        await until(lambda: len(ledger.calls) > 1)

    ledger.before = wait_for_a_second
    for _ in range(60):
        await enqueue(redis, events(10))
    async with working(config(redis_url, batch_size=100, concurrency=5), ledger):
        await drained(queue)
    assert sizes(ledger)[:2] == [100, 400]


async def test_a_transaction_is_bounded_and_a_job_is_never_split(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MAX_TRANSACTION_EVENTS", 20)
    for size in (15, 15, 3, 2, 50):
        await enqueue(redis, events(size))
    async with working(config(redis_url, batch_size=100), ledger):
        await drained(queue)
    assert 50 in sizes(ledger)
    assert max(size for size in sizes(ledger) if size != 50) <= 20
    assert set(ledger.attempts.values()) == {1}


async def test_a_transaction_is_bounded_by_bytes_and_a_larger_job_is_one_of_its_own(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MAX_TRANSACTION_BYTES", 2_500)
    for size_bytes in (1_000, 9_000, 800, 9_000, *[800] * 20):
        await enqueue(redis, [event(b'"%s"' % (b"x" * size_bytes))])
    async with working(config(redis_url, batch_size=100, concurrency=2), ledger):
        await drained(queue)
    bytes_of = [[job.size_bytes for job in jobs] for jobs in ledger.calls]
    assert all(sum(sizes) <= 2_500 or len(sizes) == 1 for sizes in bytes_of)
    assert max(map(len, bytes_of)) > 1
    assert set(ledger.attempts.values()) == {1}


async def test_a_lone_job_waits_for_no_company(
    queue: Queue, redis_url: str, ledger: Ledger
) -> None:
    async with working(config(redis_url, batch_size=5000), ledger):
        for count in range(1, 4):
            await queue.append(events(1))
            await until(lambda count=count: len(ledger.calls) == count)  # type: ignore[misc]


async def settle(_: Sequence[Job], __: Sequence[Outcome]) -> None:
    pass


async def test_no_more_transactions_than_concurrency_are_open_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "GROWTH", 1)  # each job is enough to begin a transaction
    open_now = most = 0
    gate = asyncio.Event()

    async def count(_: Sequence[Job]) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await gate.wait()
        open_now -= 1

    ledger.before = count
    gatherer = gather.Gatherer(ledger.store, settle, concurrency=3, batch_size=5, timeout=60)
    deadline = asyncio.get_running_loop().time() + 600
    handed = [
        asyncio.create_task(gatherer.hand(Job(f"{number}.5", events(5)), deadline))
        for number in range(10)
    ]
    await until(lambda: most >= 3)  # all ten are handed in by then, and no more begin by themselves
    assert gatherer._line.events == 35
    gate.set()
    await asyncio.gather(*handed)
    assert most == 3


async def test_nobody_waits_for_a_job_that_goes_back_because_others_must_run_alone_first(
    ledger: Ledger,
) -> None:
    over = asyncio.Event()

    async def hang(jobs: Sequence[Job]) -> None:
        if any(scripts.is_alone(job.id) for job in jobs):
            await over.wait()

    ledger.before = hang
    gatherer = gather.Gatherer(ledger.store, settle, concurrency=2, batch_size=5, timeout=6000)
    deadline = asyncio.get_running_loop().time() + 60_000
    first, second, third = (Job(scripts.job_id(1, alone=True), events(1)) for _ in range(3))
    alone = [asyncio.create_task(gatherer.hand(job, deadline)) for job in (first, second)]
    await until(lambda: ledger.attempts)
    gatherer.expect(third.id)
    good = asyncio.create_task(gatherer.hand(Job("good.1", events(1)), deadline))
    await asyncio.sleep(0)
    with pytest.raises(TransientStoreError, match="come first"):
        await gatherer.hand(third, deadline)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await good
    over.set()
    await asyncio.gather(*alone)


async def test_suspects_count_among_the_transactions_that_may_be_open(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "GROWTH", 1)  # each job is enough to begin a transaction
    gate = asyncio.Event()

    async def hang(_: Sequence[Job]) -> None:
        await gate.wait()

    ledger.before = hang
    gatherer = gather.Gatherer(ledger.store, settle, concurrency=3, batch_size=1, timeout=6000)
    deadline = asyncio.get_running_loop().time() + 60_000
    ids = [scripts.job_id(1, alone=True), *(f"{number}.1" for number in range(5))]
    handed = [
        asyncio.create_task(gatherer.hand(Job(job_id, events(1)), deadline)) for job_id in ids
    ]
    await until(lambda: len(ledger.calls) >= 3)
    for _ in range(10):  # the others would begin in the next turns of the loop
        await asyncio.sleep(0)
    assert len(ledger.calls) == 3
    gate.set()
    await asyncio.gather(*handed)


async def test_nobody_waits_for_an_expected_job_that_could_not_be_read(ledger: Ledger) -> None:
    gatherer = gather.Gatherer(ledger.store, settle, concurrency=2, batch_size=5, timeout=6000)
    gatherer.expect("unreadable.1")
    deadline = asyncio.get_running_loop().time() + 60_000
    good = asyncio.create_task(gatherer.hand(Job("good.1", events(1)), deadline))
    await asyncio.sleep(0)
    assert not ledger.calls
    gatherer.forget("unreadable.1")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await good


async def test_a_transient_failure_sends_every_job_of_the_transaction_back(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    async def fail(_: Sequence[Job]) -> None:
        if len(ledger.calls) == 1:
            raise TransientStoreError("restarting")

    ledger.before = fail
    ids = [await enqueue(redis, events(2)) for _ in range(5)]
    async with working(settings, ledger):
        await drained(queue)
    assert ledger.attempts == dict.fromkeys(ids, 2)
    assert await queue.books() == Books(accepted=10, stored=10)


async def test_one_bad_job_fails_alone_and_holds_up_nobody(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    ids = [await enqueue(redis, events(2)) for _ in range(5)]
    bad = ids[2]

    async def fail(jobs: Sequence[Job]) -> None:
        if any(job.id == bad for job in jobs):
            raise ValueError("a bug that this job meets")

    ledger.before = fail
    async with working(settings, ledger):
        await until(lambda: set(ids) - {bad} == ledger.outcomes.keys())
        assert await queue.waiting(ids) == {bad}
        assert max(ledger.attempts[good] for good in set(ids) - {bad}) <= 2, (
            "merged once, then alone"
        )
        ledger.before = None
        await drained(queue)
    assert await queue.books() == Books(accepted=10, stored=10)


@pytest.mark.parametrize("failure", [TimeoutError, TransientStoreError])
async def test_a_store_too_slow_for_full_transactions_is_given_smaller_ones_until_they_commit(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger, failure: type[Exception]
) -> None:
    """Or it would store nothing for ever; and they grow again once it is quick."""

    async def fail_when_large(jobs: Sequence[Job]) -> None:
        if sum(len(job.events) for job in jobs) > 50:
            raise failure("not in this time")

    async def wait(_: Sequence[Job]) -> None:
        await all_are_queued.wait()

    all_are_queued = asyncio.Event()
    ledger.before = fail_when_large
    for _ in range(60):
        await enqueue(redis, events(10))
    async with working(settings, ledger):
        await drained(queue)
        assert len(ledger.calls) < 100, (
            "some 40 transactions, and some 200 when only chance makes them small"
        )
        assert await queue.books() == Books(accepted=600, stored=600)
        ledger.before = wait
        ledger.calls.clear()
        for _ in range(200):
            await enqueue(redis, events(10))
        all_are_queued.set()
        await drained(queue)
    assert max(sizes(ledger)) > 50


async def test_a_failing_store_is_not_handed_the_whole_backlog(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BACKOFF_SECONDS", 60)
    monkeypatch.setattr(pace, "BACKOFF_CAP_SECONDS", 60)
    monkeypatch.setattr(pace, "MAX_TRANSACTION_EVENTS", 20)

    async def fail(_: Sequence[Job]) -> None:
        raise TransientStoreError("no database")

    turns = 0
    turn = worker.Worker._turn

    async def counted(self: worker.Worker, runner: Runner) -> bool:
        nonlocal turns
        turns += 1
        return await turn(self, runner)

    monkeypatch.setattr(worker.Worker, "_turn", counted)
    ledger.before = fail
    for _ in range(100):
        await enqueue(redis, events(10))
    async with working(config(redis_url, batch_size=10, concurrency=2), ledger):
        await until(lambda: bool(ledger.calls))
        turns = 0
        await until(lambda: turns > 20)
    assert len(ledger.attempts) <= 4


async def test_a_job_with_too_little_time_left_is_sent_back_unstored() -> None:
    ledger = Ledger()
    gatherer = gather.Gatherer(ledger.store, settle, concurrency=1, batch_size=10, timeout=10)
    with pytest.raises(TransientStoreError, match="waited too long"):
        await gatherer.hand(Job("late.1", events(1)), asyncio.get_running_loop().time() + 1)
    assert not ledger.calls


async def test_a_suspect_begins_only_with_nearly_all_of_the_time_that_it_is_to_get(
    ledger: Ledger,
) -> None:
    gatherer = gather.Gatherer(ledger.store, settle, concurrency=2, batch_size=5, timeout=6000)
    now, share = asyncio.get_running_loop().time(), 6000 * SHARES[0]
    with pytest.raises(TransientStoreError, match="waited too long"):
        await gatherer.hand(Job(scripts.job_id(1, alone=True), events(1)), now + share / 2)
    assert not ledger.calls
    await gatherer.hand(Job(scripts.job_id(1, alone=True), events(1)), now + share)
    assert len(ledger.calls) == 1


@pytest.mark.parametrize("others", [False, True])
async def test_a_failure_of_a_suspect_is_a_reason_to_pause_unless_others_are_stored(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    monkeypatch.setattr(pace, "BACKOFF_SECONDS", 60)
    monkeypatch.setattr(pace, "BACKOFF_CAP_SECONDS", 60)
    gatherer = gather.Gatherer(ledger.store, settle, concurrency=2, batch_size=5, timeout=6000)
    deadline = asyncio.get_running_loop().time() + 60_000

    async def fail(jobs: Sequence[Job]) -> None:
        if scripts.is_alone(jobs[0].id):
            if others:
                await gatherer.hand(Job("good.1", events(1)), deadline)
            raise TransientStoreError("a lock is held")

    ledger.before = fail
    with pytest.raises(TransientStoreError, match="a lock is held"):
        await gatherer.hand(Job(scripts.job_id(1, alone=True), events(1)), deadline)
    assert gatherer.pausing is not others
