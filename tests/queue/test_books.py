"""The books balance at any moment, with failing stores and unreadable jobs."""

import asyncio
import itertools
import random
import uuid
from collections.abc import Sequence

from redis.asyncio import Redis

from analytics.errors import TransientStoreError
from analytics.events import Event, Job
from analytics.queue import Queue, scripts
from tests.queue.kit import Ledger, config, drained, enqueue_body, event, working
from tests.waiting import PATIENCE_SECONDS


async def test_the_books_balance_at_any_moment_and_agree_with_a_dict(
    queue: Queue, redis: Redis, redis_url: str, ledger: Ledger, hasty: None
) -> None:
    dice = random.Random(42)
    pool = [uuid.UUID(int=dice.getrandbits(128)) for _ in range(300)]
    sent: list[Event] = []
    unreadable = 0

    async def falter(_: Sequence[Job]) -> None:
        await asyncio.sleep(dice.random() * 0.01)
        match dice.randrange(10):
            case 0:
                raise TransientStoreError("not now")
            case 1:
                raise ValueError("a bug")

    ledger.before = falter
    looks = 0
    done = asyncio.Event()

    async def send() -> None:
        nonlocal unreadable
        for number in itertools.count():
            if number >= 40 and looks > 50:
                break
            some = [event(event_id=one) for one in dice.sample(pool, dice.randint(1, 20))]
            if dice.random() < 0.1:
                await enqueue_body(redis, b"\xc1", scripts.job_id(len(some)))
                unreadable += len(some)
            else:
                await queue.append(some)
                sent.extend(some)
            await asyncio.sleep(dice.random() * 0.01)

    async def audit() -> None:
        nonlocal looks
        while not done.is_set():
            books = await queue.books()
            assert books.balanced, books
            looks += 1
            await asyncio.sleep(0.002)

    settings = config(redis_url, batch_size=30, concurrency=3)
    async with (
        working(settings, ledger),
        working(settings, ledger),
        asyncio.timeout(PATIENCE_SECONDS),
        asyncio.TaskGroup() as auditing,
    ):
        auditing.create_task(audit())
        async with asyncio.TaskGroup() as sending:
            for _ in range(10):
                sending.create_task(send())
        ledger.before = None
        await drained(queue)
        done.set()
    books = await queue.books()
    distinct = {one.id for one in sent}
    assert ledger.rows.keys() == distinct
    assert (books.accepted, books.stored, books.duplicate, books.dead_lettered, books.queued) == (
        len(sent) + unreadable,
        len(distinct),
        len(sent) - len(distinct),
        unreadable,
        0,
    )
