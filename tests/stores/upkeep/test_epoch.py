"""The epoch that PostgreSQL and Redis both hold: what is a loss, and what is none."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import pytest
from redis.asyncio import Redis

from analytics.epoch import POSTGRES_IS_OLDER, REDIS_IS_OLDER, STRANGERS, Epoch, Mark
from analytics.errors import Unavailable
from analytics.queue import Queue, scripts
from analytics.stores.upkeep import epoch
from tests.queue.kit import client, config, enqueue, events
from tests.stores.conftest import connected


class Crash(Exception):
    """Of a processor, at some point of a comparison."""


class Stores:
    """A database and a Redis, and processors that compare them."""

    def __init__(
        self, url: str, connection: asyncpg.Connection, redis: Redis, queue: Queue
    ) -> None:
        self.url = url
        self.connection = connection
        self.redis = redis
        self.queue = queue

    async def look(self) -> tuple[Mark | None, datetime]:
        horizon = await self.queue.horizon()
        return horizon.mark, horizon.watermark

    async def compare(self) -> Epoch:
        return await epoch.compare(self.connection, self.look, self.queue.put_mark)

    async def row(self) -> Epoch:
        return await epoch.read(self.connection)

    async def mark(self) -> bytes | None:
        held: bytes | None = await self.redis.get(scripts.EPOCH)
        return held

    async def agreed(self) -> Epoch:
        """Both hold the same, after some comparisons."""
        for _ in range(3):
            await self.compare()
        row = await self.row()
        assert row.seen_at is not None
        assert await self.mark() == str(row.mark).encode()
        assert row.lost_from is None
        return row

    async def back_to(self, row: Epoch) -> None:
        """PostgreSQL as it was."""
        names = Epoch.__struct_fields__
        await self.connection.execute(epoch.WRITE, *(getattr(row, name) for name in names))


@pytest.fixture
async def stores(migrated_url: str, redis_url: str) -> AsyncIterator[Stores]:
    settings = config(redis_url)
    async with connected(migrated_url) as connection, client(settings) as redis:
        yield Stores(migrated_url, connection, redis, Queue(redis, settings))


async def test_the_first_start_and_an_upgrade_with_events_waiting_are_no_loss(
    stores: Stores,
) -> None:
    await enqueue(stores.redis, events(3))
    assert (await stores.row()).begins
    row = await stores.agreed()
    assert row.sure_until == await stores.queue.watermark(), "what waits is not sure"
    assert row.turn == 3


async def test_a_new_mark_each_time_and_the_same_epoch(stores: Stores) -> None:
    first = await stores.agreed()
    second = await stores.agreed()
    assert (second.epoch, second.turn) == (first.epoch, first.turn + 3)
    assert first.sure_until is not None
    assert second.sure_until is not None
    assert second.sure_until > first.sure_until


async def test_a_redis_that_is_empty_is_a_loss_from_the_last_agreement_on(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    before = await stores.agreed()
    await stores.redis.flushdb()
    await stores.compare()
    row = await stores.row()
    assert (row.lost_from, row.lost_how) == (before.sure_until, REDIS_IS_OLDER)
    assert row.lost_at is not None
    assert row.epoch != before.epoch
    assert await stores.mark() == str(row.mark).encode()
    for _ in range(3):
        await stores.compare()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1, "it is said once"
    assert "may be lost" in errors[0].getMessage()
    assert (await stores.row()).lost_from == before.sure_until, "it stays until it is acknowledged"


@pytest.mark.parametrize("renewals", [1, 2, 5])
async def test_a_redis_with_older_data_is_a_loss_however_much_came_since(
    stores: Stores, renewals: int
) -> None:
    await stores.agreed()
    snapshot = await stores.mark()
    for _ in range(renewals):
        before = await stores.compare()
    await stores.redis.set(scripts.EPOCH, snapshot or b"")
    await enqueue(stores.redis, events(50))
    row = await stores.compare()
    assert (row.lost_from, row.lost_how) == (before.sure_until, REDIS_IS_OLDER)


async def test_a_postgres_with_older_data_is_a_loss_since_that_data(stores: Stores) -> None:
    backup = await stores.agreed()
    await stores.agreed()
    await stores.back_to(backup)
    row = await stores.compare()
    assert (row.lost_from, row.lost_how) == (backup.sure_until, POSTGRES_IS_OLDER)


async def test_a_redis_of_another_installation_is_a_loss(stores: Stores) -> None:
    before = await stores.agreed()
    await stores.redis.set(scripts.EPOCH, "other:1")
    row = await stores.compare()
    assert (row.lost_from, row.lost_how) == (before.sure_until, STRANGERS)


async def test_a_second_loss_keeps_the_beginning_of_the_first(stores: Stores) -> None:
    first = await stores.agreed()
    await stores.redis.flushdb()
    lost = await stores.compare()
    for _ in range(2):
        await stores.compare()
    await stores.redis.set(scripts.EPOCH, "other:1")
    row = await stores.compare()
    assert (row.lost_from, row.lost_at, row.lost_how) == (
        first.sure_until,
        lost.lost_at,
        REDIS_IS_OLDER,
    )
    assert row.epoch != lost.epoch, "it was found, all the same"


async def test_an_acknowledged_loss_is_over_and_the_next_one_is_found(stores: Stores) -> None:
    await stores.agreed()
    await stores.redis.flushdb()
    lost = await stores.compare()
    assert (await epoch.acknowledge(stores.connection)).lost_from == lost.lost_from
    assert (await epoch.acknowledge(stores.connection)).lost_from is None
    before = await stores.agreed()
    await stores.redis.flushdb()
    assert (await stores.compare()).lost_from == before.sure_until


async def crashed(stores: Stores, *, after_write: bool) -> None:
    """A comparison whose processor dies between the two writes, or right after the second."""

    async def put(held: Mark | None, mark: Mark) -> bool:
        if after_write:
            await stores.queue.put_mark(held, mark)
        raise Crash

    with pytest.raises(Crash):
        await epoch.compare(stores.connection, stores.look, put)


@pytest.mark.parametrize("after_write", [False, True])
@pytest.mark.parametrize("crashes", [1, 3])
async def test_a_crash_between_the_writes_invents_no_loss(
    stores: Stores, after_write: bool, crashes: int
) -> None:
    for _ in range(crashes):
        await crashed(stores, after_write=after_write)  # also at the first start
    await stores.agreed()
    for _ in range(crashes):
        await crashed(stores, after_write=after_write)
    await stores.agreed()


@pytest.mark.parametrize("after_write", [False, True])
async def test_a_crash_between_the_writes_hides_no_loss(stores: Stores, after_write: bool) -> None:
    await stores.agreed()
    await crashed(stores, after_write=after_write)
    sure = (await stores.row()).sure_until
    await stores.redis.flushdb()
    await crashed(stores, after_write=after_write)  # while the loss is recorded
    assert (await stores.row()).lost_from == sure
    for _ in range(3):
        await stores.compare()
    row = await stores.row()
    assert (row.lost_from, row.lost_how) == (sure, REDIS_IS_OLDER)
    assert row.seen_at is not None


async def test_a_crash_while_a_loss_is_recorded_is_no_second_loss(stores: Stores) -> None:
    await stores.agreed()
    await stores.redis.flushdb()
    await crashed(stores, after_write=False)
    await epoch.acknowledge(stores.connection)
    await stores.agreed()


async def test_who_saw_an_earlier_mark_says_nothing_of_one_that_came_since(stores: Stores) -> None:
    await stores.agreed()

    async def overtaken(held: Mark | None, mark: Mark) -> bool:
        put = await stores.queue.put_mark(held, mark)
        await crashed(stores, after_write=False)
        return put

    async with connected(stores.url) as other:
        await epoch.compare(other, stores.look, overtaken)
    await stores.agreed()


async def test_many_processors_at_once_agree_and_find_one_loss(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        others = [await stack.enter_async_context(connected(stores.url)) for _ in range(4)]

        async def at_once() -> None:
            await asyncio.gather(
                *(epoch.compare(one, stores.look, stores.queue.put_mark) for one in others)
            )

        for _ in range(10):
            await at_once()
        before = await stores.agreed()
        await stores.redis.flushdb()
        await at_once()
    row = await stores.row()
    assert row.lost_from == before.sure_until
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 1
    for _ in range(2):
        await stores.compare()
    assert await stores.mark() == str((await stores.row()).mark).encode()


async def test_a_slow_processor_puts_no_old_mark_over_a_new_one(stores: Stores) -> None:
    await stores.agreed()

    async def slow(held: Mark | None, mark: Mark) -> bool:
        for _ in range(3):
            await stores.compare()  # others, meanwhile
        return await stores.queue.put_mark(held, mark)

    async with connected(stores.url) as other:
        await epoch.compare(other, stores.look, slow)
    await stores.agreed()


async def test_without_redis_nothing_is_said_and_nothing_forgotten(stores: Stores) -> None:
    before = await stores.agreed()

    async def nothing() -> tuple[Mark | None, datetime]:
        raise Unavailable("Redis is down")

    with pytest.raises(Unavailable):
        await epoch.compare(stores.connection, nothing, stores.queue.put_mark)
    assert await stores.row() == before
