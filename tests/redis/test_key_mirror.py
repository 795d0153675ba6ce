"""The mirror of keys in Redis: what is in it, what is not, and what cannot be read."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics import projects
from analytics.errors import NotFound, Unauthorized, Unavailable
from analytics.projects import KeyCache
from analytics.redis import RedisKeys, RedisProjects, key_mirror, mirror
from tests.projects.kit import Clock
from tests.waiting import until


async def test_a_mirrored_key_is_found_in_redis_just_as_in_the_database(
    engine: AsyncEngine, redis: Redis
) -> None:
    token, key = await projects.create_key(
        engine,
        scopes=["ingest"],
        project="default",
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    assert await mirror(engine, redis) == 1
    assert await KeyCache(RedisKeys(redis)).find(token) == key


@pytest.mark.parametrize(
    ("expiry", "works"), [("infinity", True), ("20000-01-01Z", True), ("-infinity", False)]
)
async def test_an_expiry_that_only_postgresql_has_stops_no_mirroring(
    engine: AsyncEngine, redis: Redis, expiry: str, works: bool
) -> None:
    token, _ = await projects.create_key(engine, scopes=["ingest"], project="default")
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"UPDATE api_keys SET expires_at = '{expiry}'")
    other, _ = await projects.create_key(engine, scopes=["ingest"], project=None)
    assert await mirror(engine, redis) == 2
    keys = KeyCache(RedisKeys(redis))
    assert (await keys.find(other)).expires_at is None
    with nullcontext() if works else pytest.raises(Unauthorized):
        await keys.find(token)


async def test_a_key_absent_from_a_written_mirror_is_unknown(
    engine: AsyncEngine, redis: Redis
) -> None:
    await mirror(engine, redis)
    with pytest.raises(Unauthorized):
        await KeyCache(RedisKeys(redis)).find("ak_w_nobody")


async def test_without_a_mirror_nothing_is_said_of_a_key(redis: Redis) -> None:
    with pytest.raises(Unavailable):
        await KeyCache(RedisKeys(redis)).find("ak_w_somebody")


async def test_a_mirror_that_cannot_be_read_is_an_outage_and_no_verdict(
    engine: AsyncEngine, redis: Redis
) -> None:
    await mirror(engine, redis)
    await redis.hset(key_mirror.KEYS, projects.digest("ak_w_x").hex(), "\x01garbage")  # type: ignore[misc]
    with pytest.raises(Unavailable):
        await KeyCache(RedisKeys(redis)).find("ak_w_x")


async def test_a_revoked_key_is_refused_after_the_next_mirroring(
    engine: AsyncEngine, redis: Redis, clock: Clock
) -> None:
    token, _ = await projects.create_key(engine, scopes=["ingest"], project=None)
    await mirror(engine, redis)
    keys = KeyCache(RedisKeys(redis))
    await keys.find(token)
    await projects.revoke_key(engine, token[:9])
    await mirror(engine, redis)
    clock.now += 30  # and the mirror itself is at most 30 s old: a minute in all
    with pytest.raises(Unauthorized, match="revoked"):
        await keys.find(token)


async def test_a_project_absent_from_a_written_mirror_does_not_exist(
    engine: AsyncEngine, redis: Redis
) -> None:
    known = RedisProjects(redis)
    await known.require("shop")  # nothing is written, so nothing is known
    await mirror(engine, redis)
    await known.require("default")
    with pytest.raises(NotFound) as caught:
        await known.require("shop")
    assert (caught.value.code, caught.value.field) == ("no_project", "project")
    await projects.create_project(engine, "shop")
    await mirror(engine, redis)
    await known.require("shop")


async def test_names_of_projects_are_forgotten_once_nobody_writes_them_any_more(
    engine: AsyncEngine, redis: Redis
) -> None:
    """A processor of an older release mirrors keys alone."""
    await mirror(engine, redis)
    assert 0 < await redis.ttl(key_mirror.PROJECTS) <= key_mirror.PROJECTS_SECONDS
    assert await redis.ttl(key_mirror.SYNCED) == -1


async def test_a_project_that_is_gone_is_forgotten(engine: AsyncEngine, redis: Redis) -> None:
    await projects.create_project(engine, "shop")
    await mirror(engine, redis)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM projects WHERE name = 'shop'"))
    await mirror(engine, redis)
    assert await RedisProjects(redis).knows("shop") is False


async def test_a_writer_reads_only_once_no_other_writes(engine: AsyncEngine, redis: Redis) -> None:
    """Else the one that read first might write last."""
    async with engine.begin() as other:
        lock = func.pg_advisory_xact_lock(key_mirror._LOCK)
        await other.execute(select(lock))
        writing = asyncio.create_task(mirror(engine, redis))
        waits = text(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        )

        async def is_waiting() -> bool:
            return writing.done() or bool((await other.execute(waits)).scalar())

        await until(is_waiting)
        await projects.create_project(engine, "shop")
    await writing
    assert await RedisProjects(redis).knows("shop")
