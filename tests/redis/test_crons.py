"""Crons: one processor at a time, once a period, and no failure ends them."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis

from analytics.errors import TransientStoreError
from analytics.redis import Cron
from analytics.redis.crons import CRON
from analytics.settings import Settings
from tests.queue.kit import Ledger, working
from tests.waiting import until


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
        await until(lambda: len(ends) >= 4)
    assert min(late - early for early, late in pairwise(ends)) >= 100


async def test_a_cron_runs_in_one_of_many_workers(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tries = 0
    set_ = Redis.set

    async def note() -> None:
        nonlocal runs
        runs += 1

    async def counted(self: Redis, name: str, *arguments: Any, **options: Any) -> Any:
        nonlocal tries
        answer = await set_(self, name, *arguments, **options)
        tries += name == CRON + "note"
        return answer

    monkeypatch.setattr(Redis, "set", counted)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(working(settings, ledger, [Cron("note", 60, note)]))
        await until(lambda: tries == 4)
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
        await until(lambda: runs > 4)


async def test_a_cron_whose_processor_died_runs_elsewhere_when_its_period_is_over(
    settings: Settings, ledger: Ledger, redis: Redis
) -> None:
    ran = asyncio.Event()

    async def note() -> None:
        ran.set()

    await redis.set(CRON + "note", b"1", px=300)
    async with working(settings, ledger, [Cron("note", 0.1, note)]):
        await until(ran.is_set)
