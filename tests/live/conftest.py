"""Fixtures of the tests of live events: a Redis, and a bus that listens to it."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from analytics.live import Bus
from tests.live.kit import client


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis = client(redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
async def bus(redis: Redis) -> AsyncIterator[Bus]:
    async with Bus(redis) as bus:
        yield bus
