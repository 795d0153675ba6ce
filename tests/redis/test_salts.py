"""The salt of a day: one for all collectors, and gone when its day is over."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from redis.asyncio import Redis

from analytics import pipeline
from analytics.errors import Unavailable
from analytics.events import NO_ACTOR
from analytics.redis.salts import GRACE, SALT, Salts
from tests.visits import browsing, event

SECOND = timedelta(seconds=1)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def midnight() -> datetime:
    """The end of tomorrow: Redis' clock has not reached the end of the days on either side."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)


async def test_collectors_share_the_salt_of_a_day(redis: Redis, midnight: datetime) -> None:
    one, other = Salts(redis), Salts(redis)
    salt = await one.of(midnight)
    assert (
        salt == await other.of(midnight) == await one.of(midnight + timedelta(hours=23, minutes=59))
    )
    assert len(salt) == 32


async def test_a_day_is_one_of_utc_wherever_the_clock_is(redis: Redis, midnight: datetime) -> None:
    salts = Salts(redis)
    assert await salts.of(midnight) == await salts.of(
        midnight.astimezone(timezone(timedelta(hours=-8)))
    )


async def test_at_midnight_a_visitor_becomes_somebody_else(
    redis: Redis, midnight: datetime
) -> None:
    async def session(salts: Salts, moment: datetime) -> str:
        [kept] = pipeline.run(
            [event(session=NO_ACTOR)], browsing(salt=await salts.of(moment))
        ).events
        return kept.session_id

    salts = Salts(redis)
    morning, evening = (
        await session(salts, midnight - timedelta(hours=23)),
        await session(salts, midnight - SECOND),
    )
    assert morning == evening
    after = await session(salts, midnight)
    assert after != evening
    assert await session(Salts(redis), midnight + SECOND) == after


async def test_a_collector_asks_redis_once_a_day_and_forgets(
    redis: Redis, midnight: datetime
) -> None:
    made: list[bytes] = []

    def fresh(size: int) -> bytes:
        made.append(bytes([len(made)]) * size)
        return made[-1]

    salts = Salts(redis, fresh=fresh)
    for moment in (midnight - SECOND, midnight - SECOND, midnight, midnight + SECOND):
        await salts.of(moment)
    assert len(made) == 2
    assert made[0] not in vars(salts).values()


async def test_a_salt_ends_ten_minutes_after_its_day(redis: Redis, midnight: datetime) -> None:
    await Salts(redis).of(midnight - SECOND)
    [key] = await redis.keys(f"{SALT}*")
    assert await redis.expiretime(key) == (midnight + GRACE).timestamp()  # type: ignore[misc]  # redis-py gives a number for what is awaited


async def test_a_day_that_is_over_has_no_salt_any_more(redis: Redis, midnight: datetime) -> None:
    with pytest.raises(Unavailable):
        await Salts(redis).of(midnight - timedelta(days=5))
    assert await redis.keys(f"{SALT}*") == []
