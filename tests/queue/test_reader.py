"""What the reader tells of the queue: depth, books, watermark and one event."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from analytics import metrics
from analytics.errors import TransientStoreError
from analytics.events import Books, IdSearch, Job
from analytics.queue import Queue, reader, scripts
from analytics.settings import Settings
from tests.queue.kit import (
    Ledger,
    config,
    drained,
    enqueue,
    enqueue_body,
    event,
    events,
    now,
    working,
)
from tests.waiting import PATIENCE_SECONDS, until


async def test_an_empty_queue_has_no_depth_and_its_watermark_is_now(
    queue: Queue, redis: Redis
) -> None:
    before = await now(redis)
    depth, mark = await queue.depth(), await queue.watermark()
    assert (depth.jobs, depth.events, depth.oldest_s) == (0, 0, 0)
    assert mark.tzinfo == UTC
    assert before - 0.001 <= mark.timestamp() <= await now(redis)


async def test_depth_counts_jobs_and_events_and_the_age_of_the_oldest(
    queue: Queue, redis: Redis
) -> None:
    job_id = await enqueue(redis, events(3))
    appended = int(await now(redis)) - 60
    await redis.zadd(scripts.PENDING, {job_id: appended * 1000})
    await enqueue(redis, events(4))
    before = await now(redis)
    depth = await queue.depth()
    assert (depth.jobs, depth.events) == (2, 7)
    assert before - 0.001 <= appended + depth.oldest_s <= await now(redis)


async def test_a_clock_that_went_back_gives_no_negative_age(queue: Queue, redis: Redis) -> None:
    job_id = await enqueue(redis, events(1))
    await redis.zadd(scripts.PENDING, {job_id: (await now(redis) + 3600) * 1000})
    assert (await queue.depth()).oldest_s == 0


async def test_retries_do_not_move_the_watermark(
    queue: Queue, redis: Redis, settings: Settings, ledger: Ledger, hasty: None
) -> None:
    stuck = await enqueue(redis, events(1))
    appended = (await redis.zscore(scripts.PENDING, stuck) or 0) / 1000

    async def fail(jobs: Sequence[Job]) -> None:
        if any(job.id == stuck for job in jobs):
            raise TransientStoreError("not now")

    ledger.before = fail
    async with working(settings, ledger):
        await until(lambda: ledger.attempts[stuck] > 3)
        for _ in range(5):
            await queue.append(events(1))
        assert (await queue.watermark()) == datetime.fromtimestamp(appended, UTC)
        ledger.before = None
        await drained(queue)
    assert (await queue.watermark()).timestamp() > appended


async def test_a_projects_watermark_is_held_back_only_by_jobs_that_may_concern_it(
    queue: Queue, redis: Redis
) -> None:
    stuck = [event(project="a"), event(project="a")]
    await queue.append(stuck)
    await queue.append([event(project="a"), event(project="b")])
    held, every = await queue.horizon("a"), await queue.horizon()
    assert held.waiting
    assert held.watermark == every.watermark
    assert (await queue.horizon("b")).waiting
    assert held.watermark < (await queue.horizon("b")).watermark < (now := datetime.now(UTC))
    free = await queue.horizon("c")
    assert not free.waiting
    assert free.watermark + timedelta(seconds=1) > now
    await enqueue(redis, [event(project="a")])  # of a release that names no projects
    assert (await queue.horizon("c")).waiting


async def test_behind_a_very_long_line_of_others_the_watermark_is_that_of_the_last_one_looked_at(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LOOK_JOBS", (2, 5))
    for _ in range(4):
        await queue.append([event(project="a")])
    assert not (await queue.horizon("b")).waiting
    for _ in range(3):
        await queue.append([event(project="a")])
    fifth = (await redis.zrange(scripts.PENDING, 4, 4, withscores=True))[0][1]
    held = await queue.horizon("b")
    assert (held.waiting, held.watermark.timestamp()) == (True, fifth / 1000)
    assert (await queue.horizon("a")).watermark <= held.watermark


async def test_every_event_acknowledged_before_the_watermark_is_stored(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, hasty: None
) -> None:
    dice = random.Random(7)
    acknowledged: list[tuple[float, set[uuid.UUID]]] = []

    async def falter(jobs: Sequence[Job]) -> None:
        await asyncio.sleep(dice.random() * 0.02)
        if dice.random() < 0.3:
            raise TransientStoreError("not now")

    ledger.before = falter
    done = asyncio.Event()

    async def send() -> None:
        while not done.is_set():
            sent = events(dice.randint(1, 5))
            await queue.append(sent)
            acknowledged.append((await now(redis), {one.id for one in sent}))
            await asyncio.sleep(dice.random() * 0.2)

    marks: list[float] = []
    async with working(config(redis_url, batch_size=5), ledger):
        senders = [asyncio.create_task(send()) for _ in range(5)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(marks) < 150 or len(set(marks)) <= 5:
                known = list(acknowledged)
                mark = (await queue.watermark()).timestamp()
                marks.append(mark)
                missing = [ids - ledger.rows.keys() for instant, ids in known if instant < mark]
                assert not set().union(*missing)
                await asyncio.sleep(0.01)
        done.set()
        await asyncio.gather(*senders)
        ledger.before = None
        await drained(queue)
    assert marks == sorted(marks)


async def test_a_waiting_event_is_found_by_project_and_id(queue: Queue) -> None:
    wanted, namesake = event(b'{"page": "/"}'), event(project="other")
    await queue.append([*events(5), wanted, namesake])
    assert await queue.find(IdSearch("default", str(wanted.id))) == [wanted]
    assert await queue.find(IdSearch("other", str(namesake.id))) == [namesake]
    assert await queue.find(IdSearch("other", str(wanted.id))) == []
    assert await queue.find(IdSearch("default", str(uuid.uuid4()))) == []


async def test_all_that_wait_of_one_senders_id_are_found(queue: Queue) -> None:
    first, second, nested, foreign = (
        event(b'{"page":"/","$id":"order \\"1\\""}'),
        event('{"$id":"order \\"1\\"","é":1}'.encode()),
        event(b'{"a":{"$id":"order \\"1\\""}}'),
        event(b'{"$id":"order \\"1\\""}', project="other"),
    )
    await queue.append([*events(5), first, nested])
    await queue.append([foreign, second])
    search = IdSearch("default", 'order "1"')
    assert {one.id for one in await queue.find(search, 100)} == {first.id, second.id}
    assert len(await queue.find(search, 1)) == 1
    assert await queue.find(IdSearch("other", 'order "1"'), 100) == [foreign]


async def test_a_waiting_event_is_found_by_its_senders_uuid_in_any_case(queue: Queue) -> None:
    own = str(uuid.uuid4())
    lower, upper = (event(b'{"$id":"%s"}' % one.encode()) for one in (own, own.upper()))
    await queue.append([*events(5), lower, upper, event(b'{"$id":"x%s"}' % own.encode())])
    for spelling in (own, own.upper(), own[:20] + own[20:].upper()):
        found = await queue.find(IdSearch("default", spelling), 100)
        assert {one.id for one in found} == {lower.id, upper.id}


async def test_the_search_steps_over_jobs_it_cannot_read(queue: Queue, redis: Redis) -> None:
    wanted = event()
    await queue.append([wanted])
    await enqueue_body(redis, b"\xc1" + wanted.id.bytes, scripts.job_id(1))
    await enqueue_body(redis, b"\x80" + wanted.id.bytes, "foreign")
    assert await queue.find(IdSearch("default", str(wanted.id))) == [wanted]


async def test_the_search_reads_a_bounded_number_of_bytes_at_a_time_and_in_all(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, middle = event(b'"%s"' % (b"x" * 900)), event(b'"%s"' % (b"x" * 9_000))
    small = [event(b'"%s"' % (b"x" * 900)) for _ in range(9)]
    for at, each in enumerate((oldest, *small, middle, *events(9))):
        await enqueue(redis, [each], f"{at:02}.1")
    read: list[list[str]] = []
    mget = Redis.mget

    async def noted(self: Redis, keys: list[str]) -> Any:
        read.append(keys)
        return await mget(self, keys)

    monkeypatch.setattr(Redis, "mget", noted)
    monkeypatch.setattr(reader, "CHUNK_JOBS", 3)
    monkeypatch.setattr(reader, "CHUNK_BYTES", 2_500)
    assert await queue.find(IdSearch("default", str(oldest.id))) == [oldest]
    sizes = [[await redis.strlen(key) for key in keys] for keys in read]
    assert all(sum(each) <= 2_500 or len(each) == 1 for each in sizes)
    assert sum(map(len, sizes)) == 20
    monkeypatch.setattr(reader, "FIND_BYTES", 10_000)
    assert await queue.find(IdSearch("default", str(oldest.id))) == []
    assert await queue.find(IdSearch("default", str(middle.id))) == [middle]


async def test_waiting_names_the_jobs_that_are_not_settled(queue: Queue, redis: Redis) -> None:
    there = await enqueue(redis, events(1))
    assert await queue.waiting([there, "gone.1"]) == {there}
    assert await queue.waiting([]) == set()


async def test_replayed_dead_letters_are_queued_again_and_counted_once(
    queue: Queue, settings: Settings, ledger: Ledger, redis: Redis
) -> None:
    await redis.execute_command("HSET", scripts.BOOKS, "accepted", 5, "dead_lettered", 5)  # type: ignore[no-untyped-call]
    sent = events(2)
    assert await queue.enqueue_replay(sent, [11, 12])
    assert await queue.books() == Books(accepted=5, dead_lettered=3, queued=2)
    assert not await queue.enqueue_replay(events(2), [12, 13]), "number 12 is on its way already"
    assert await queue.books() == Books(accepted=5, dead_lettered=3, queued=2)
    async with working(settings, ledger):
        await drained(queue)
    assert [job.replays for jobs in ledger.calls for job in jobs] == [(11, 12)]
    assert await queue.books() == Books(accepted=5, stored=2, dead_lettered=3)
    assert await queue.enqueue_replay(events(1), [12])


async def test_the_gauges_show_what_redis_holds(queue: Queue) -> None:
    await queue.append(events(4))
    await queue.refresh_gauges()
    assert (metrics.queue_depth.get({}), metrics.queue_jobs.get({})) == (4, 1)
    assert [
        metrics.books.get({"account": account}) for account in ("accepted", "queued", "stored")
    ] == [4, 4, 0]
