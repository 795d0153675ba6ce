"""Crons: one processor at a time, once a period, and no failure ends them."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise

from redis.asyncio import Redis

from analytics.errors import TransientStoreError
from analytics.redis import Cron
from analytics.redis.crons import CRON
from analytics.settings import Settings
from tests.queue.kit import Ledger, eventually, working


async def test_a_cron_runs_at_once_and_then_every_period(
    settings: Settings, ledger: Ledger, redis: Redis
) -> None:
    ends: list[int] = []

    async def note() -> None:
        # redis-py types it as if it were not async
        end: int = await redis.pexpiretime(CRON + "note")  # type: ignore[misc]
        if end > 0:  # a busy machine may come too late to see the lock
            ends.append(end)

    async with working(settings, ledger, [Cron("note", 0.1, note)]):
        await eventually(lambda: len(ends) >= 4)
    assert min(late - early for early, late in pairwise(ends)) >= 100


async def test_a_cron_runs_in_one_of_many_workers(settings: Settings, ledger: Ledger) -> None:
    runs = 0

    async def note() -> None:
        nonlocal runs
        runs += 1

    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(working(settings, ledger, [Cron("note", 60, note)]))
        await eventually(lambda: runs > 0)
        await asyncio.sleep(0.2)
    assert runs == 1


async def test_a_cron_outlives_its_failures(
    settings: Settings, ledger: Ledger, redis: Redis
) -> None:
    runs = 0

    async def fail() -> None:
        nonlocal runs
        runs += 1
        match runs:
            case 1:
                raise ValueError("a bug")
            case 2:
                raise TransientStoreError("no database")
            case 3:
                await asyncio.Event().wait()

    async with working(settings, ledger, [Cron("fail", 0.05, fail)]):
        await eventually(lambda: runs > 4)


async def test_a_cron_whose_processor_died_runs_elsewhere_when_its_period_is_over(
    settings: Settings, ledger: Ledger, redis: Redis
) -> None:
    ran = asyncio.Event()

    async def note() -> None:
        ran.set()

    await redis.set(CRON + "note", b"1", px=300)
    async with working(settings, ledger, [Cron("note", 0.1, note)]):
        await eventually(ran.is_set)
