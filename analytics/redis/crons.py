"""Periodic work that one processor does for all: the lock that keeps the others out lives as long
as the period.
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
"""One key a cron: it lives as long as the cron's period."""

LOOK_SECONDS = 5.0


class Cron(msgspec.Struct, frozen=True):
    """Work to be done once in `seconds` by some processor, first as soon as one runs; it is
    cancelled when it takes longer than that.
    """

    name: str
    seconds: float
    coroutine: Callable[[], Awaitable[None]]


async def keep(redis: Redis, cron: Cron) -> None:
    """Do a cron's work for ever, whenever its lock is free. Failures are logged; the next period is
    the next try.
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
