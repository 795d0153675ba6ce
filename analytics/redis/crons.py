"""Periodic work that one processor does for all.

Before a run the processor takes a lock in Redis that lasts one period and keeps the others out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics.errors import AnalyticsError

log = logging.getLogger(__name__)

CRON = "analytics:cron:"
"""Locks, one key a cron: each expires after the cron's period."""

LOOK_SECONDS = 5.0
"""How often each processor tries the lock, at least."""


class Cron(msgspec.Struct, frozen=True):
    """Work that some processor does once in `seconds`, beginning as soon as one runs.

    A run that takes longer than `seconds` is cancelled.
    """

    name: str
    seconds: float
    coroutine: Callable[[], Awaitable[None]]


async def run(redis: Redis, cron: Cron) -> None:
    """Do a cron's work whenever its lock is free, until cancelled.

    A failure is logged, and the next period is the next try.
    """
    while True:
        try:
            if await redis.set(CRON + cron.name, b"1", nx=True, px=int(cron.seconds * 1000)):
                async with asyncio.timeout(cron.seconds):
                    await cron.coroutine()
        except (AnalyticsError, RedisError, OSError) as error:  # TimeoutError among them
            log.warning("cron %s: %r", cron.name, error)
        except Exception:
            log.exception("cron %s failed", cron.name)
        await asyncio.sleep(min(cron.seconds, LOOK_SECONDS))
