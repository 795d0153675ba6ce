"""Slots: cached answers never cost Redis much, nor a question its answer."""

import json
import os
from datetime import UTC, datetime

import msgspec
from redis.asyncio import Redis

from analytics.queries.answers.cache import name_of
from analytics.queries.answers.slots import MAX_SLOT_BYTES, PREFIX, Answer, Slots
from analytics.roles import api
from analytics.settings import Settings
from tests.queries.answers.cached import OLD, client


async def test_without_redis_it_still_answers(config: Settings) -> None:
    assert await Slots(Redis.from_url("redis://127.0.0.1:1/0")).find(b"x" * 32) is None
    lonely = msgspec.structs.replace(config, redis_url="redis://127.0.0.1:1/0")
    app = api.ROLE.app(lonely)
    async with app.router.lifespan_context(app), client(app) as http:
        assert (await http.get(OLD)).status_code == 200


async def test_nothing_large_is_cached_nor_anything_while_redis_is_rather_full(
    redis_url: str,
) -> None:
    redis = Redis.from_url(redis_url)
    now = datetime.now(UTC)

    def made(data: str, watermark: datetime | None = now) -> Answer:
        return Answer(
            name=name_of(1, "/x", None, data),
            fingerprint=b"",
            until=now.timestamp() + 60,
            etag="e",
            data=json.dumps(data).encode(),
            query=b"{}",
            source="raw",
            watermark=watermark,
            partial=False,
        )

    await Slots(redis).keep(made(os.urandom(MAX_SLOT_BYTES).hex()))
    await Slots(redis).keep(made("of nobody knows when", watermark=None))
    assert await redis.keys(f"{PREFIX}*") == []
    small = made("small")
    await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] * 1.5))
    try:
        await Slots(redis).keep(small)
        assert await redis.keys(f"{PREFIX}*") == []
    finally:
        await redis.config_set("maxmemory", 0)
    await Slots(redis).keep(small)
    assert await Slots(redis).find(small.name) == small
    assert 0 < await redis.ttl((await redis.keys(f"{PREFIX}*"))[0]) <= 60
    await redis.aclose()
