"""The worker: only a written outcome takes a job out of the queue."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from analytics.errors import TransientStoreError
from analytics.events import Books, Job, Outcome, pack
from analytics.queue import Queue, claims, scripts, worker
from analytics.queue.burial import Burial
from analytics.queue.claims import Claims
from analytics.queue.runner import Runner
from analytics.settings import Settings
from tests import servers
from tests.queue.kit import (
    Ledger,
    client,
    config,
    drained,
    enqueue,
    enqueue_body,
    event,
    events,
    failures_of,
    working,
)
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("hasty")


class Failing:
    """Raises `error` the first `times` it is asked."""

    def __init__(self, error: BaseException, times: int = 1) -> None:
        self.error = error
        self.left = times

    async def __call__(self, *_: object) -> None:
        if self.left:
            self.left -= 1
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        TransientStoreError("no database"),
        TimeoutError("slow"),
        asyncio.CancelledError(),
        OSError("no route"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_the_store_raises_however_often_the_job_is_stored_in_the_end(
    error: BaseException, queue: Queue, settings: Settings, ledger: Ledger
) -> None:
    """arq ends a job after five tries, and at once after an exception or a time-out."""
    ledger.before = Failing(error, times=7)
    sent = events(3)
    await queue.append(sent)
    async with working(settings, ledger):
        await drained(queue)
    assert len(ledger.calls) == 8
    assert ledger.rows.keys() == {one.id for one in sent}
    assert await queue.books() == Books(accepted=3, stored=3)


async def test_a_store_that_hangs_is_cut_off_at_the_time_out_and_the_job_is_tried_again(
    queue: Queue, redis_url: str, ledger: Ledger
) -> None:
    cut = 0

    async def hang(_: Sequence[Job]) -> None:
        nonlocal cut
        if len(ledger.calls) == 1:
            try:
                await asyncio.Event().wait()
            finally:
                cut += 1

    ledger.before = hang
    await queue.append(events(1))
    async with working(config(redis_url, job_timeout=1), ledger):
        await drained(queue)
    assert (len(ledger.calls), cut) == (2, 1)


async def test_a_claim_outlasts_the_time_out_by_ten_seconds(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    job_id = await enqueue(redis, events(1))
    release = asyncio.Event()

    async def wait(_: Sequence[Job]) -> None:
        await release.wait()

    ledger.before = wait
    async with working(settings, ledger):
        await until(lambda: bool(ledger.calls))
        assert (
            settings.job_timeout
            < await redis.pttl(scripts.IN_PROGRESS + job_id) / 1000
            <= settings.job_timeout + 10
        )
        release.set()


async def test_a_job_whose_claimer_died_is_delivered_again_when_the_claim_ends(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    job_id = await enqueue(redis, events(1))
    assert await scripts.CLAIM.run(redis, "dead", 500, 10, 1000, 100, 999, 999) == [
        [job_id.encode(), await redis.strlen(scripts.JOB + job_id)]
    ]
    async with working(settings, ledger):
        while True:
            calls = len(ledger.calls)
            if await redis.get(scripts.IN_PROGRESS + job_id) != b"dead":
                break
            assert calls == 0  # read before the claim was, so the claim held at that moment
            await asyncio.sleep(0.01)
        await drained(queue)
    assert ledger.attempts == {job_id: 1}


async def test_jobs_in_work_elsewhere_never_hide_the_others(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    """A stock arq worker reads only the first entries of the queue, where the jobs in work stay."""
    for _ in range(700):
        await enqueue(redis, events(1))
    assert len(await scripts.CLAIM.run(redis, "other", 60_000, 1000, 1000, 1, 1e6, 1e6)) == 700
    job_id = await enqueue(redis, events(1))
    async with working(settings, ledger):
        await until(lambda: ledger.attempts == {job_id: 1})


async def test_jobs_in_work_are_bounded_by_bytes_and_a_larger_job_is_in_work_alone(
    queue: Queue,
    redis: Redis,
    settings: Settings,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "MAX_CLAIMED_BYTES", 5_000)
    in_work: list[list[int]] = []

    async def look(_: Sequence[Job]) -> None:
        claims = await redis.keys(scripts.IN_PROGRESS + "*")
        names = [claim.decode().removeprefix(scripts.IN_PROGRESS) for claim in claims]
        in_work.append([await redis.strlen(scripts.JOB + name) for name in names])

    ledger.before = look
    for size_bytes in (*[800] * 20, 40_000, 40_000, *[800] * 20, 40_000):
        await enqueue(redis, [event(b'"%s"' % (b"x" * size_bytes))])
    async with working(settings, ledger):
        await drained(queue)
    assert all(sum(sizes) <= 5_000 or len(sizes) == 1 for sizes in in_work)
    assert max(map(len, in_work)) > 1
    assert set(ledger.attempts.values()) == {1}


BAD_BODIES = {
    "unknown function": (
        msgspec.msgpack.encode({"t": None, "f": "store_v2", "a": [b"x"], "k": {}, "et": 1}),
        "unknown_function",
    ),
    "more arguments": (
        msgspec.msgpack.encode({"t": None, "f": "store", "a": [b"", [], "new"], "k": {}, "et": 1}),
        "undecodable",
    ),
    "keywords": (
        msgspec.msgpack.encode(
            {"t": None, "f": "store", "a": [pack(events(1))], "k": {"a": 1}, "et": 1}
        ),
        "undecodable",
    ),
    "no events": (
        msgspec.msgpack.encode({"t": None, "f": "store", "a": [b"\xc1"], "k": {}, "et": 1}),
        "undecodable",
    ),
    "no msgpack": (b"\x80\x04pickle", "undecodable"),
    "no body keys": (msgspec.msgpack.encode({"x": 1}), "undecodable"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_what_cannot_be_run_is_buried_before_it_is_removed(
    name: str,
    queue: Queue,
    redis: Redis,
    settings: Settings,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_body, reason = BAD_BODIES[name]
    job_id = await enqueue_body(redis, job_body, scripts.job_id(7))
    bury, tries, held = ledger.bury, Failing(OSError("no database"), times=2), []

    async def watched(*arguments: Any) -> None:
        held.append(
            await redis.exists(scripts.JOB + job_id)
            and await redis.zscore(scripts.QUEUE, job_id) is not None
        )
        await tries()
        await bury(*arguments)

    monkeypatch.setattr(ledger, "bury", watched)
    async with working(settings, ledger):
        await drained(queue)
    assert held == [True, True, True]
    assert ledger.buried[job_id][:3] == (7, job_body, reason)
    assert await queue.books() == Books(accepted=7, dead_lettered=7)
    assert await redis.exists(scripts.JOB + job_id) == 0


async def test_a_job_without_a_body_is_buried_by_its_id(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    job_id = await enqueue(redis, events(4))
    await redis.delete(scripts.JOB + job_id)
    async with working(settings, ledger):
        await drained(queue)
    assert ledger.buried[job_id][:3] == (4, b"", "expired")
    assert await queue.books() == Books(accepted=4, dead_lettered=4)


async def test_a_job_that_another_settled_after_the_claim_is_not_buried(
    redis: Redis, ledger: Ledger
) -> None:
    async def settle(jobs: Sequence[Job], _: Sequence[Outcome]) -> None:
        raise AssertionError(f"{jobs} were settled already")

    job_id = await enqueue(redis, events(4))
    await scripts.SETTLE.run(redis, job_id, 4, 0, 0, "")
    await Burial(redis, "token", Claims(), settle, ledger.bury, ledger.recorded, 1).bury(job_id)
    assert not ledger.buried


async def test_a_commit_that_could_not_be_settled_at_once_is_settled_later(
    queue: Queue, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, failing = scripts.SETTLE.run, Failing(RedisConnectionError("gone"), times=3)

    async def faltering(*arguments: Any) -> Any:
        await failing()
        return await run(*arguments)

    monkeypatch.setattr(scripts.SETTLE, "run", faltering)
    await queue.append(events(3))
    async with working(settings, ledger):
        await drained(queue)
    assert len(ledger.calls) == 1
    assert await queue.books() == Books(accepted=3, stored=3)


async def test_a_worker_that_ends_between_commit_and_settling_leaves_exact_books(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FINISH_SECONDS", 0.1)

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    sent = events(3)
    job_id = await enqueue(redis, [*sent, sent[0]])
    with monkeypatch.context() as patch:
        patch.setattr(scripts.SETTLE, "run", never)
        async with working(settings, ledger):
            await until(lambda: len(ledger.rows) == 3)
    assert await queue.books() == Books(accepted=4, queued=4)
    async with working(settings, ledger):
        await drained(queue)
    assert ledger.attempts == {job_id: 2}
    assert await queue.books() == Books(accepted=4, stored=3, duplicate=1)


async def test_settling_leaves_nothing_of_a_job_in_redis(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger
) -> None:
    for _ in range(3):
        await queue.append(events(2))
    async with working(settings, ledger):
        await drained(queue)
    assert await redis.keys("*") == [scripts.BOOKS.encode()]


async def test_stopping_lets_running_jobs_finish_and_takes_no_more(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()

    async def wait(_: Sequence[Job]) -> None:
        await release.wait()

    finishing = asyncio.Event()
    finish, claim = worker.Worker._finish, scripts.CLAIM.run
    claims_while_finishing = 0

    async def noted(self: worker.Worker, runner: Runner) -> None:
        finishing.set()
        await finish(self, runner)

    async def counted(*arguments: Any) -> Any:
        nonlocal claims_while_finishing
        claims_while_finishing += finishing.is_set()
        return await claim(*arguments)

    monkeypatch.setattr(worker.Worker, "_finish", noted)
    monkeypatch.setattr(scripts.CLAIM, "run", counted)
    ledger.before = wait
    first = await enqueue(redis, events(1))
    settings = config(redis_url)
    async with client(settings) as own:
        stop = asyncio.Event()
        task = asyncio.create_task(
            worker.Worker(
                own, settings, store=ledger.store, bury=ledger.bury, recorded=ledger.recorded
            ).run(stop)
        )
        await until(lambda: ledger.attempts[first] == 1)
        stop.set()
        await until(finishing.is_set)
        await enqueue(redis, events(1))
        assert not task.done()
        release.set()
        await task
    assert claims_while_finishing == 0
    assert ledger.attempts == {first: 1}
    assert (await queue.depth()).jobs == 1


async def test_what_does_not_finish_in_time_is_given_back_at_once(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FINISH_SECONDS", 0.1)

    async def hang(_: Sequence[Job]) -> None:
        await asyncio.Event().wait()

    ledger.before = hang
    job_id = await enqueue(redis, events(1))
    settings = config(redis_url, job_timeout=600)
    async with working(settings, ledger):
        await until(lambda: ledger.attempts[job_id] == 1)
    ledger.before = None
    async with working(settings, ledger):
        await drained(queue)
    assert ledger.attempts[job_id] == 2


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a bug"), RedisConnectionError("gone"), OSError("no route")],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_while_polling_does_not_end_the_worker(
    error: Exception,
    queue: Queue,
    settings: Settings,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, failing = scripts.CLAIM.run, Failing(error, times=3)

    async def faltering(*arguments: Any) -> Any:
        await failing()
        return await run(*arguments)

    monkeypatch.setattr(scripts.CLAIM, "run", faltering)
    await queue.append(events(1))
    async with working(settings, ledger) as task:
        await drained(queue)
        assert not task.done()


async def test_what_redis_did_not_take_back_is_given_back_again(
    redis: Redis, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = worker.Worker(
        redis, settings, store=ledger.store, bury=ledger.bury, recorded=ledger.recorded
    )
    processor._claims.add("failed.1", claims.Claim(60.0, 1))
    processor._claims.end("failed.1", 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(scripts.RELEASE, "run", Failing(RedisConnectionError("gone"), times=1))
        with pytest.raises(RedisConnectionError):
            await processor._release()
    assert processor._claims.to_give_back() == {"failed.1": 1.0}
    await processor._release()
    assert not processor._claims.to_give_back()


async def test_a_job_that_hangs_beyond_its_claim_is_not_begun_twice_by_the_same_worker(
    queue: Queue,
    redis: Redis,
    settings: Settings,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, turns, turn = asyncio.Event(), 0, worker.Worker._turn

    async def counted(self: worker.Worker, runner: Runner) -> bool:
        nonlocal turns
        done = await turn(self, runner)
        turns += 1
        return done

    async def hang(_: Sequence[Job]) -> None:
        await over.wait()

    monkeypatch.setattr(worker.Worker, "_turn", counted)
    ledger.before = hang
    job_id = await enqueue(redis, events(2))
    async with working(settings, ledger):
        await until(lambda: ledger.calls)
        await redis.delete(scripts.IN_PROGRESS + job_id)
        await redis.zadd(scripts.QUEUE, {job_id: 0})
        await until(lambda: redis.exists(scripts.IN_PROGRESS + job_id))
        before = turns
        await until(lambda: turns > before + 2)
        assert ledger.attempts[job_id] == 1
        over.set()
        await drained(queue)
    assert await queue.books() == Books(accepted=2, stored=2)


async def test_an_error_inside_arq_does_not_end_the_worker_or_lose_the_job(
    queue: Queue, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job, failing = Runner.run_job, Failing(RuntimeError("a hook failed"), times=2)

    async def faltering(self: Any, job_id: str, score: int) -> None:
        await failing()
        await run_job(self, job_id, score)

    monkeypatch.setattr(Runner, "run_job", faltering)
    await queue.append(events(1))
    async with working(settings, ledger):
        await drained(queue)
    assert len(ledger.rows) == 1


async def test_a_redis_restart_in_mid_work_ends_nothing_and_loses_nothing(
    server_folder: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()
    claims = failures_of(scripts.CLAIM, monkeypatch)
    settlements = failures_of(scripts.SETTLE, monkeypatch)

    async def wait(_: Sequence[Job]) -> None:
        await release.wait()

    with servers.valkey(server_folder / "work") as server:
        settings = config(server.url, job_timeout=20)
        async with (
            client(settings) as redis,
            Queue(redis, settings) as queue,
            working(settings, ledger) as task,
        ):
            for held in (True, False):
                ledger.before = wait if held else None
                release.clear()
                before = len(ledger.calls)
                await queue.append(events(5))
                await until(lambda before=before: len(ledger.calls) > before)  # type: ignore[misc]
                await asyncio.to_thread(server.kill)
                claims.clear()
                release.set()
                await until(lambda held=held: claims and (settlements or not held))  # type: ignore[misc]
                await asyncio.to_thread(server.start)
                await drained(queue)
            assert not task.done()
            assert await queue.books() == Books(accepted=10, stored=10)
    assert max(ledger.attempts.values()) == 1, (
        "a commit is settled as soon as Redis is back, not stored again"
    )


async def test_signals_are_left_to_who_started_the_worker(redis: Redis, settings: Settings) -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def work(*_: Any) -> None: ...

    Runner(work, work, redis, settings.job_timeout)
    assert signal.getsignal(signal.SIGTERM) is before
