"""Suspects: a job that fails keeps no other waiting, and one that never ends is set aside."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from analytics.errors import SuspectBatch, TransientStoreError
from analytics.events import Books, Job, pack, unpack
from analytics.queue import Queue, body, burial, pace, scripts
from analytics.queue.suspects import SHARES, Suspects
from analytics.settings import Settings
from tests.queue.kit import Ledger, config, drained, enqueue, event, events, working
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("hasty")


def test_a_suspect_gets_more_time_at_each_try_and_is_known_until_it_is_stored() -> None:
    suspects = Suspects()
    suspects.accuse(["a", "b"])
    assert "a" in suspects
    assert "c" not in suspects
    shares = []
    for _ in range(6):
        shares.append((suspects.share("a"), suspects.failed("a")))
    assert [share for share, _ in shares] == [*SHARES, 1, 1]
    assert [full for _, full in shares] == [-2, -1, 0, 1, 2, 3]
    suspects.accuse(["a"])
    assert suspects.share("a") == 1, "accused again, it is no newcomer"
    suspects.acquit(["a"])
    assert ("a" in suspects, "b" in suspects) == (False, True)


class Slow:
    """A store in which some events never end in time, while others are stored."""

    def __init__(self, ledger: Ledger, queue: Queue, *bad: object) -> None:
        self.ledger, self.queue, self.bad = ledger, queue, {*bad}
        ledger.before = self

    async def __call__(self, jobs: Sequence[Job]) -> None:
        if any(one.id in self.bad for job in jobs for one in job.events):
            if len(jobs) == 1:  # another job comes, and is stored meanwhile
                (other,) = events(1)
                await self.queue.append([other])
                await until(lambda: other.id in self.ledger.rows)
            raise SuspectBatch("it took too long", slow=True)


async def test_an_event_that_never_ends_is_found_in_its_job_and_becomes_a_dead_letter(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    mine = [event(project="a") for _ in range(20)]
    others = [event(project="b") for _ in range(3)]
    bad = mine[11]
    Slow(ledger, queue, bad.id)
    await enqueue(redis, [*mine, *others])
    async with working(settings, ledger):
        await until(lambda: len(ledger.buried) == 1)
        ledger.before = None
        await drained(queue)
    ((job_id, (count, letter, reason, message)),) = ledger.buried.items()
    assert (count, unpack(letter), reason) == (1, [bad], "too_slow")
    assert "took longer than" in message
    assert scripts.is_alone(job_id)
    assert {one.id for one in (*mine, *others)} - {bad.id} <= ledger.rows.keys()
    assert bad.id not in ledger.rows
    books = await queue.books()
    assert (books.dead_lettered, books.queued, books.duplicate) == (1, 0, 0)
    assert books.stored == len(ledger.rows)
    assert not [key async for key in redis.scan_iter(scripts.JOB + "*")]


async def test_while_nothing_else_is_stored_a_slow_job_is_neither_split_nor_set_aside(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    """It may be the database that stands still."""

    async def stand_still(_: Sequence[Job]) -> None:
        raise SuspectBatch("it took too long", slow=True)

    ids = [await enqueue(redis, events(4)) for _ in range(3)]
    ledger.before = stand_still
    async with working(settings, ledger):
        await until(lambda: min(ledger.attempts[job_id] for job_id in ids) > len(SHARES) + 4)
        assert await queue.waiting(ids) == {*ids}
        assert not ledger.buried
        ledger.before = None
        await drained(queue)
    assert await queue.books() == Books(accepted=12, stored=12)


async def test_what_fails_for_another_reason_is_tried_for_ever(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    bad = await enqueue(redis, events(2))

    async def locked(jobs: Sequence[Job]) -> None:
        if bad in {job.id for job in jobs}:
            (other,) = events(1)
            await queue.append([other])
            await until(lambda: other.id in ledger.rows)
            raise SuspectBatch("a lock is held", slow=False)

    ledger.before = locked
    async with working(settings, ledger):
        await until(lambda: ledger.attempts[bad] > len(SHARES) + burial.TIMES_TOO_SLOW + 3)
        assert await queue.waiting([bad]) == {bad}
        ledger.before = None
        await drained(queue)
    assert not ledger.buried


async def test_jobs_that_hang_leave_places_and_room_for_those_of_others(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though they are large, and more than may be in transactions at once: nobody waits until one
    of them is cut off.
    """
    monkeypatch.setattr(pace, "MAX_TRANSACTION_EVENTS", 50)
    hanging = {await enqueue(redis, events(50)) for _ in range(8)}
    tried: set[str] = set()
    hang = cut_off = 0
    over = asyncio.Event()

    async def hang_again(jobs: Sequence[Job]) -> None:
        nonlocal hang, cut_off
        bad = hanging & {job.id for job in jobs}
        if bad - tried:
            tried.update(bad)
            raise SuspectBatch("it took too long", slow=True)
        if bad:
            hang += 1
            try:
                await over.wait()
            except asyncio.CancelledError:
                cut_off += 1
                raise

    ledger.before = hang_again
    async with working(config(redis_url, job_timeout=480, concurrency=3), ledger):
        await until(lambda: tried == hanging and hang > 0)
        for _ in range(5):
            good = await enqueue(redis, events(1))
            await until(lambda good=good: good in ledger.outcomes or cut_off > 2)  # type: ignore[misc]
            assert cut_off <= 2
        ledger.before = None
        over.set()
        await drained(queue)
    assert await queue.books() == Books(accepted=405, stored=405)


async def test_of_a_replay_that_takes_too_long_the_dead_letters_stay_and_may_be_replayed_again(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    sent = events(3)
    await queue.append(sent)
    await redis.hset(scripts.BOOKS, mapping={"queued": 3, "dead_lettered": 0})  # type: ignore[misc]
    async with working(settings, ledger):
        await drained(queue)
    await redis.hset(scripts.BOOKS, mapping={"stored": 0, "dead_lettered": 3})  # type: ignore[misc]
    ledger.rows.clear()
    Slow(ledger, queue, sent[1].id)
    assert await queue.enqueue_replay(sent, [1, 2, 3])
    async with working(settings, ledger):
        await until(lambda: _is_free(redis))
        ledger.before = None
        await drained(queue)
    assert not ledger.buried
    assert (await queue.books()).dead_lettered == 3
    assert await queue.enqueue_replay(sent, [1, 2, 3])


async def _is_free(redis: Redis) -> bool:
    return not await redis.exists(scripts.REPLAYING)


async def test_only_who_holds_a_job_may_split_it(queue: Queue, redis: Redis) -> None:
    job_id = await enqueue(redis, events(2))
    await scripts.CLAIM.run(redis, "me", 10_000, 10, 1000, 100, 9999, 9999)
    parts = [(scripts.job_id(1, alone=True), body.write(pack(events(1)))) for _ in range(2)]
    words: list[Any] = [word for pair in parts for word in pair]
    assert await scripts.SPLIT.run(redis, "somebody", job_id, *words) == 0
    assert await queue.waiting([job_id]) == {job_id}
    watermark = await queue.watermark()
    assert await scripts.SPLIT.run(redis, "me", job_id, *words) == 1
    assert await scripts.SPLIT.run(redis, "me", job_id, *words) == 0
    assert await queue.waiting([job_id, *words[::2]]) == {*words[::2]}
    assert await queue.watermark() == watermark < datetime.now(UTC)
    assert await queue.books() == Books(accepted=2, queued=2)
    await redis.set(scripts.IN_PROGRESS + "settled.2", "me")
    assert await scripts.SPLIT.run(redis, "me", "settled.2", "a.1", b"", "b.1", b"") == 0
    assert not await queue.waiting(["a.1", "b.1"])


async def test_a_failure_of_the_database_accuses_nobody(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    async def fail(_: Sequence[Job]) -> None:
        if len(ledger.calls) < 4:
            raise TransientStoreError("no database")

    ledger.before = fail
    ids = [await enqueue(redis, events(1)) for _ in range(6)]
    async with working(settings, ledger):
        await drained(queue)
    assert {len(jobs) for jobs in ledger.calls} != {1}
    assert {*ledger.outcomes} == {*ids}
