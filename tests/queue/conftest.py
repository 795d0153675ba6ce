"""Fixtures of the queue's tests: a Redis, a queue that accepts events, a dict that stores them."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from analytics.queue import Queue
from analytics.settings import Settings
from tests.queue.kit import Ledger, client, config, hasty

__all__ = ["hasty"]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return config(redis_url)


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    async with client(settings) as redis:
        yield redis


@pytest.fixture
async def queue(redis: Redis, settings: Settings) -> AsyncIterator[Queue]:
    async with Queue(redis, settings) as queue:
        yield queue


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()
