"""Group commit: each append is answered once, and only after Redis has answered."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from analytics.epoch import Mark
from analytics.errors import TooLarge, Unavailable
from analytics.events import Books, Event, pack
from analytics.queue import Queue, backpressure, body, commit, scripts
from analytics.settings import Settings
from tests import servers
from tests.queue.kit import client, config, event, events, taken
from tests.waiting import until


async def queued(redis: Redis) -> list[list[Event]]:
    """The events of each job, in the queue's order."""
    return [
        body.read(await redis.get(scripts.JOB + job_id.decode()) or b"")["a"][0].events
        for job_id in await redis.zrange(scripts.PENDING, 0, -1)
    ]


async def test_an_append_is_in_the_queue_when_it_returns(queue: Queue, redis: Redis) -> None:
    sent = events(3)
    await queue.append(sent)
    assert await queued(redis) == [sent]
    assert await queue.books() == Books(accepted=3, queued=3)


async def test_what_arrives_during_a_flush_shares_the_next_job(queue: Queue, redis: Redis) -> None:
    sent = [events(2) for _ in range(50)]
    await asyncio.gather(*(queue.append(one) for one in sent))
    jobs = await queued(redis)
    assert len(jobs) < 5
    assert [one for job in jobs for one in job] == [one for part in sent for one in part]


async def test_an_append_of_nothing_is_no_job(queue: Queue) -> None:
    await queue.append([])
    assert (await queue.depth()).jobs == 0


async def test_a_job_holds_no_more_events_than_its_bound(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "MAX_JOB_EVENTS", 10)
    await asyncio.gather(*(queue.append(events(4)) for _ in range(6)))
    assert [len(job) for job in await queued(redis)] == [8, 8, 8]


async def test_a_request_larger_than_a_job_becomes_several_in_one_step(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "MAX_JOB_EVENTS", 10)
    calls: list[Any] = []
    run = scripts.ENQUEUE.run

    async def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return await run(*arguments)

    monkeypatch.setattr(scripts.ENQUEUE, "run", counted)
    sent = events(35)
    await queue.append(sent)
    jobs = await queued(redis)
    assert len(calls) == 1
    assert max(map(len, jobs)) <= 10
    assert {one.id for job in jobs for one in job} == {one.id for one in sent}


async def test_a_job_holds_no_more_bytes_than_its_bound(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "MAX_JOB_BYTES", 10_000)
    large = [event(b'{"k": "%s"}' % (b"x" * 4000)) for _ in range(8)]
    await asyncio.gather(queue.append(large[:4]), queue.append(large[4:6]), queue.append(large[6:]))
    assert {len(pack(job)) < 10_000 for job in await queued(redis)} == {True}
    assert (await queue.books()).queued == 8


async def test_a_cancelled_append_disturbs_no_other_and_is_left_out_if_it_can_be(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, under_way, gate = scripts.ENQUEUE.run, asyncio.Event(), asyncio.Event()

    async def gated(*arguments: Any) -> Any:
        under_way.set()
        await gate.wait()
        return await run(*arguments)

    monkeypatch.setattr(scripts.ENQUEUE, "run", gated)
    flushing = [asyncio.create_task(queue.append(events(1))) for _ in range(2)]
    await under_way.wait()
    waiting = [asyncio.create_task(queue.append(events(1))) for _ in range(30)]
    await asyncio.sleep(0)
    for gone in (flushing[0], *waiting[::2]):
        gone.cancel()
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*flushing, *waiting, return_exceptions=True)
    assert [result is None for result in results] == [False, True] * 16
    assert sum(map(len, await queued(redis))) == 2 + 15


async def test_more_than_may_wait_is_refused_at_once(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "MAX_WAITING_EVENTS", 100)
    results = await asyncio.gather(
        *(queue.append(events(40)) for _ in range(10)), return_exceptions=True
    )
    refused = [result for result in results if result is not None]
    assert len(refused) == 8
    assert {getattr(result, "code", None) for result in refused} == {"queue_slow"}
    assert (await queue.books()).accepted == 80


async def test_more_than_may_ever_wait_is_refused_though_nothing_waits(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "MAX_WAITING_EVENTS", 100)
    monkeypatch.setattr(commit, "MAX_WAITING_BYTES", 100_000)
    for most, more in (
        (events(100), events(101)),
        ([event(b"{}".ljust(99_000))], [event(b"{}".ljust(100_000))]),
    ):
        await queue.append(most)
        with pytest.raises(TooLarge):
            await queue.append(more)
    assert (await queue.books()).accepted == 101


async def test_closing_flushes_what_waits_and_then_refuses(
    redis: Redis, settings: Settings
) -> None:
    queue = Queue(redis, settings)
    async with queue:
        appends = [asyncio.create_task(queue.append(events(1))) for _ in range(100)]
        await asyncio.sleep(0)
    await asyncio.gather(*appends)
    assert (await queue.books()).accepted == 100
    with pytest.raises(Unavailable) as refusal:
        await queue.append(events(1))
    assert refusal.value.code == "queue_closed"


async def test_closing_is_bounded_and_tells_who_waits(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "CLOSE_SECONDS", 0.1)

    under_way = asyncio.Event()

    async def never(*_: Any) -> None:
        under_way.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(scripts.ENQUEUE, "run", never)
    async with Queue(redis, settings) as queue:
        first = asyncio.create_task(queue.append(events(1)))
        await under_way.wait()
        second = asyncio.create_task(queue.append(events(1)))
        await asyncio.sleep(0)
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]


async def test_a_mistake_of_ours_reaches_those_it_concerns_and_no_later_append(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(commit, "pack", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await queue.append(events(1))
    await queue.append(events(1))
    assert (await queue.books()).accepted == 1


async def test_a_redis_restart_fails_the_waiters_and_loses_no_acknowledged_event(
    server_folder: Path,
) -> None:
    acknowledged: list[Event] = []
    failed = 0
    with servers.valkey(server_folder / "restarted") as server:
        settings = config(server.url)
        async with client(settings) as redis, Queue(redis, settings) as queue:
            done = asyncio.Event()

            async def send() -> None:
                nonlocal failed
                while not done.is_set():
                    sent = events(2)
                    try:
                        await queue.append(sent)
                        acknowledged.extend(sent)
                    except Unavailable:
                        failed += 1
                        await asyncio.sleep(0.05)

            senders = [asyncio.create_task(send()) for _ in range(10)]
            for _ in range(2):
                held = len(acknowledged)
                await until(lambda held=held: len(acknowledged) > held + 100)  # type: ignore[misc]
                await asyncio.to_thread(server.kill)
                before = failed
                await until(lambda before=before: failed > before)  # type: ignore[misc]
                await asyncio.to_thread(server.start)
                held = len(acknowledged)
                await until(lambda held=held: len(acknowledged) > held)  # type: ignore[misc]
            done.set()
            await asyncio.gather(*senders)
            books = await queue.books()
            kept = {one.id for job in await queued(redis) for one in job}
    assert kept >= {one.id for one in acknowledged}
    assert books.balanced
    assert books.queued == len(kept)


async def test_a_frozen_redis_is_unavailable_within_the_time_out_and_then_recovers(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backpressure, "POLL_SECONDS", 0.02)
    with servers.valkey(server_folder / "frozen") as server:
        settings = config(server.url)
        async with client(settings, timeout=0.3) as redis, Queue(redis, settings) as queue:
            await taken(queue)
            os.kill(server.pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(5):
                    with pytest.raises(Unavailable) as failure:
                        await queue.append(events(1))
                assert failure.value.code == "queue_unreachable"
                # once the watcher has looked, an append is refused without waiting for Redis
                await until(lambda: queue._backpressure._refusal is not None)
                with monkeypatch.context() as patch:
                    patch.setattr(scripts.ENQUEUE, "run", None)
                    with pytest.raises(Unavailable):
                        await queue.append(events(1))
            finally:
                os.kill(server.pid, signal.SIGCONT)
            await taken(queue)
            assert (await queue.books()).balanced


async def test_a_failed_append_says_nothing_about_where_redis_is(
    redis: Redis, settings: Settings
) -> None:
    nowhere = config("redis://:secret@127.0.0.1:1/0")
    async with client(nowhere) as lost, Queue(lost, nowhere) as queue:
        with pytest.raises(Unavailable) as refusal:
            await queue.append(events(1))
    assert "127.0.0.1" not in refusal.value.message
    assert refusal.value.retry_after >= 1


async def test_a_redis_that_came_back_with_older_data_is_noticed_by_the_next_append(
    queue: Queue, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.set(scripts.EPOCH, "a:1")
    for number in range(3):
        await queue.append(events(5))
        await redis.set(scripts.EPOCH, f"a:{number}")
    await redis.hset(scripts.BOOKS, "accepted", "14")  # type: ignore[misc]
    await queue.append(events(7))  # more than were forgotten
    assert await redis.get(scripts.EPOCH) is None, "a processor will declare the loss"
    assert "came back" in caplog.text
    await redis.set(scripts.EPOCH, "b:1")
    await queue.append(events(1))
    assert await redis.get(scripts.EPOCH) == b"b:1", "it is noticed once"


async def test_while_the_mark_cannot_be_taken_away_nothing_is_acknowledged(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis.set(scripts.EPOCH, "a:1")
    await queue.append(events(5))
    await redis.hset(scripts.BOOKS, "accepted", "1")  # type: ignore[misc]

    async def fail(*_: object) -> None:
        raise RedisConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(redis, "delete", fail)
        with pytest.raises(Unavailable):
            await queue.append(events(1))
    assert await redis.get(scripts.EPOCH) == b"a:1"
    await queue.append(events(1))
    assert await redis.get(scripts.EPOCH) is None, "the next append notices it again"


async def test_a_loss_that_was_declared_already_is_not_noticed_again(
    queue: Queue, redis: Redis
) -> None:
    await redis.set(scripts.EPOCH, "a:1")
    await queue.append(events(5))
    await redis.flushdb()
    await redis.set(scripts.EPOCH, "b:1")
    for _ in range(2):
        await queue.append(events(1))
    assert await redis.get(scripts.EPOCH) == b"b:1"


async def test_the_mark_of_the_epoch_is_put_over_no_other(queue: Queue, redis: Redis) -> None:
    first, second, third = (Mark("e", turn) for turn in (1, 2, 3))
    assert await queue.put_mark(None, first)
    assert await queue.put_mark(first, second)
    assert await queue.put_mark(first, second), "it is there already"
    assert not await queue.put_mark(None, third)
    assert not await queue.put_mark(first, third)
    assert (await queue.horizon()).mark == second
    await redis.set(scripts.EPOCH, "of somebody else")
    assert (await queue.horizon("default")).mark is None
