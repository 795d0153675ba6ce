"""What becomes of jobs that cannot be stored as they are: split, or kept as dead letters."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from analytics.events import Event, Job, Outcome
from analytics.queue import body, pace, scripts
from analytics.queue.burial import PARTS, TIMES_TOO_SLOW, Burial
from analytics.queue.claims import Claim, Claims
from analytics.queue.reader import Reader
from tests.queue.kit import Ledger, enqueue, event, events

TOKEN = "me"


def burial(redis: Redis, ledger: Ledger, keep: Any = None, claims: Claims | None = None) -> Burial:
    async def settle(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            await scripts.SETTLE.run(redis, job.id, *msgspec.structs.astuple(outcome), "")

    return Burial(
        redis, TOKEN, claims or Claims(), settle, keep or ledger.bury, ledger.recorded, 60
    )


async def claimed(redis: Redis, sent: list[Event]) -> Job:
    job_id = await enqueue(redis, sent)
    await scripts.CLAIM.run(redis, TOKEN, 60_000, 10, 1000, 100, 9_999_999, 9_999_999)
    return Job(job_id, sent)


async def parts(redis: Redis) -> list[Sequence[Event]]:
    """The events of each job in the queue."""
    ids = [job_id.decode() for job_id in await redis.zrange(scripts.QUEUE, 0, -1)]
    assert all(scripts.is_alone(job_id) for job_id in ids)
    bodies = [await redis.get(scripts.JOB + job_id) for job_id in ids]
    return [body.read(each)["a"][0].events for each in bodies if each is not None]


async def test_a_single_event_is_set_aside_only_after_so_many_tries(
    redis: Redis, ledger: Ledger
) -> None:
    job = await claimed(redis, events(1))
    burying = burial(redis, ledger)
    for times in range(1, TIMES_TOO_SLOW):
        assert not await burying.relieve(job, times)
    assert not ledger.buried
    assert await burying.relieve(job, TIMES_TOO_SLOW)
    assert ledger.buried.keys() == {job.id}
    assert await redis.zcard(scripts.QUEUE) == 0


async def test_a_job_is_split_by_projects_first_and_that_of_one_project_in_parts(
    redis: Redis, ledger: Ledger
) -> None:
    """So a project at fault keeps no other's events after the first split."""
    mine, others = [event(project="a") for _ in range(20)], [event(project="b"), event(project="b")]
    assert await burial(redis, ledger).relieve(await claimed(redis, [*mine, *others]), 1)
    assert sorted(map(len, await parts(redis))) == [2, 20]
    ids = [job_id.decode() for job_id in await redis.zrange(scripts.QUEUE, 0, -1)]
    for project, jobs in (("a", 1), ("b", 1), ("c", 0)):
        assert sum(scripts.may_concern(job_id, project) for job_id in ids) == jobs
    await redis.flushdb()
    assert await burial(redis, ledger).relieve(await claimed(redis, mine), 1)
    split = await parts(redis)
    assert Counter(one.id for part in split for one in part) == Counter(one.id for one in mine)
    assert len(split) <= PARTS
    assert max(map(len, split)) <= -(-len(mine) // PARTS)


async def test_a_split_leaves_nothing_of_the_job_behind(redis: Redis, ledger: Ledger) -> None:
    job = await claimed(redis, events(3))
    await redis.set(scripts.RETRY + job.id, 7)
    assert await burial(redis, ledger).relieve(job, 1)
    assert not [key async for key in redis.scan_iter(f"*{job.id}*")]
    assert await redis.zscore(scripts.PENDING, job.id) is None


async def test_a_job_that_cannot_be_kept_now_pauses_longer_after_each_try(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BACKOFF_SECONDS", 1)
    monkeypatch.setattr(pace, "BACKOFF_CAP_SECONDS", 1000)

    async def keep(*_: object) -> None:
        raise OSError("no database")

    job = await claimed(redis, events(1))
    await redis.set(scripts.RETRY + job.id, 5)
    claims = Claims()
    claims.add(job.id, Claim(60.0, 1))
    with pytest.raises(OSError, match="no database"):
        await burial(redis, Ledger(), keep, claims).bury(job.id)
    claims.end(job.id, 0.0)
    assert 8 <= claims.to_give_back()[job.id] <= 16
    assert await redis.zscore(scripts.PENDING, job.id) is not None


COMMITTED = Outcome(stored=2, duplicate=1)


@pytest.mark.parametrize("replays", [(), (7,)])
@pytest.mark.parametrize("count", [1, 3])
async def test_what_is_stored_though_it_took_too_long_is_neither_split_nor_a_dead_letter(
    redis: Redis, ledger: Ledger, count: int, replays: tuple[int, ...]
) -> None:
    """A COMMIT that answers too late has stored the job all the same."""
    job = msgspec.structs.replace(await claimed(redis, events(count)), replays=replays)
    ledger.outcomes[job.id] = COMMITTED
    assert await burial(redis, ledger).relieve(job, TIMES_TOO_SLOW)
    assert not ledger.buried
    assert not await parts(redis)
    books = await Reader(redis).books()
    assert (books.stored, books.duplicate, books.dead_lettered) == (2, 1, 0)


async def test_what_is_stored_and_cannot_be_read_any_more_is_no_dead_letter(
    redis: Redis, ledger: Ledger
) -> None:
    job = await claimed(redis, events(3))
    await redis.delete(scripts.JOB + job.id)
    ledger.outcomes[job.id] = COMMITTED
    await burial(redis, ledger).bury(job.id)
    assert not ledger.buried
    books = await Reader(redis).books()
    assert (books.stored, books.duplicate, books.dead_lettered) == (2, 1, 0)
