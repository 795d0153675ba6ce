"""A key's life in every role: hashed, scoped, rotated, expired, revoked within a minute."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette

from analytics import projects, tables
from analytics.projects import key_cache
from analytics.queries import answer
from analytics.redis import key_mirror, mirror
from analytics.roles import api, processor
from analytics.roles.collector import collector
from analytics.roles.realtime import realtime
from analytics.settings import Settings
from tests.hostile.asking import Answer, ask

GOOD = b'{"session_id":"s","event_type":"t","event_action":"a"}'
MINUTE = 60.0


class Clock:
    """The clock of the key cache, which only the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


class House:
    """Every role that takes keys, with the same servers."""

    def __init__(self, engine: AsyncEngine, redis: Redis, apps: dict[str, Starlette]) -> None:
        self.engine = engine
        self.redis = redis
        self.apps = apps

    async def use(self, role: str, token: str) -> Answer:
        """The status of a role's answer to a key."""
        headers = [(b"authorization", b"Bearer " + token.encode())]
        if role == "collector":
            return await ask(self.apps[role], "POST", b"/collect", b"", headers, GOOD)
        return await ask(
            self.apps[role],
            "GET",
            {"api": b"/api/live", "realtime": b"/realtime/events"}[role],
            b"",
            headers,
        )

    async def statuses(self, token: str) -> dict[str, int]:
        return {role: (await self.use(role, token)).status for role in self.apps}

    async def create(self, *scopes: str, **more: object) -> str:
        token, _ = await projects.create_key(self.engine, scopes=scopes, project="default", **more)  # type: ignore[arg-type]
        await mirror(self.engine, self.redis)
        return token


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(key_cache, "time", clock)
    return clock


@pytest.fixture
async def house(migrated_url: str, redis_url: str, clock: Clock) -> AsyncIterator[House]:
    config = Settings(environment="test", database_url=migrated_url, redis_url=redis_url)
    engine = create_async_engine(make_url(migrated_url).set(drivername="postgresql+asyncpg"))
    redis = Redis.from_url(redis_url)
    apps = {
        "collector": collector.ROLE.app(config),
        "api": api.ROLE.app(config),
        "realtime": realtime.ROLE.app(config),
    }
    async with AsyncExitStack() as stack:
        for app in apps.values():
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield House(engine, redis, apps)
    await redis.aclose()
    await engine.dispose()


async def test_a_key_does_what_its_scope_says_and_nothing_else(house: House) -> None:
    for scope, role in (("ingest", "collector"), ("query", "api"), ("realtime", "realtime")):
        token = await house.create(scope)
        statuses = await house.statuses(token)
        assert statuses.pop(role) in (200, 202)
        assert set(statuses.values()) == {403}, scope
    assert set((await house.statuses(await house.create("admin"))).values()) <= {200, 202}


async def test_a_revoked_key_is_refused_within_a_minute_by_every_role(
    house: House, clock: Clock
) -> None:
    token = await house.create("ingest", "query", "realtime")
    assert set((await house.statuses(token)).values()) == {200, 202}
    await projects.revoke_key(house.engine, token)
    clock.time += processor.MIRROR_SECONDS
    await mirror(house.engine, house.redis)  # what the processor does every MIRROR_SECONDS
    clock.time += MINUTE - processor.MIRROR_SECONDS
    for role in house.apps:
        refusal = await house.use(role, token)
        assert (refusal.status, refusal.json["error"]["message"]) == (
            401,
            "this key has been revoked",
        )


async def test_a_key_revoked_while_its_question_is_computed_gets_no_answer(
    house: House, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may keep the answer for as long as it says, from now on."""
    token = await house.create("query")

    async def slow(*arguments: Any, **options: Any) -> Any:
        await projects.revoke_key(house.engine, token)
        clock.time += key_cache.FRESH_SECONDS
        return await answer(*arguments, **options)

    monkeypatch.setattr(api, "answer", slow)
    assert (await house.use("api", token)).status == 401


async def test_a_key_is_rotated_without_a_moment_in_which_none_works(
    house: House, clock: Clock
) -> None:
    old = await house.create("ingest")
    assert (await house.use("collector", old)).status == 202
    new = await house.create("ingest")
    assert (
        (await house.use("collector", new)).status
        == (await house.use("collector", old)).status
        == 202
    )
    await projects.revoke_key(house.engine, old)
    await mirror(house.engine, house.redis)
    clock.time += MINUTE
    assert (
        (await house.use("collector", new)).status,
        (await house.use("collector", old)).status,
    ) == (202, 401)


async def test_an_expired_key_is_refused_by_every_role(house: House) -> None:
    token = await house.create(
        "ingest", "query", "realtime", expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    assert set((await house.statuses(token)).values()) == {401}


async def test_a_key_for_one_origin_is_refused_from_another_by_every_role(house: House) -> None:
    token = await house.create("ingest", "query", "realtime", origins=["https://a.example"])
    for origin, allowed in (
        (b"https://a.example", True),
        (b"https://b.example", False),
        (b"null", False),
        (b"https://a.example.evil", False),
    ):
        headers = [(b"authorization", b"Bearer " + token.encode()), (b"origin", origin)]
        answers = [
            await ask(house.apps["collector"], "POST", b"/collect", b"", headers, GOOD),
            await ask(house.apps["api"], "GET", b"/api/live", b"", headers),
            await ask(house.apps["realtime"], "GET", b"/realtime/events", b"", headers),
        ]
        assert all(
            answer.status in (200, 202) if allowed else answer.status == 403 for answer in answers
        ), (origin, answers)


async def test_neither_server_holds_a_key_s_text(house: House) -> None:
    token = await house.create("ingest")
    secret = token.split("_", 2)[2][6:]
    async with house.engine.connect() as connection:
        rows = (await connection.execute(select(tables.api_keys))).all()
    assert rows
    assert secret not in str(rows)
    mirrored = await house.redis.hgetall(key_mirror.KEYS)  # type: ignore[misc]
    assert mirrored
    assert secret.encode() not in b"".join(part for pair in mirrored.items() for part in pair)


async def test_a_key_is_looked_up_by_its_digest_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the time that a refusal takes does not show how much of a guess is right."""
    asked: list[object] = []
    find = projects.DatabaseKeys.find

    async def seen(self: projects.DatabaseKeys, digest: bytes) -> projects.ApiKey | None:
        asked.append(digest)
        return await find(self, digest)

    monkeypatch.setattr(projects.DatabaseKeys, "find", seen)
    token = await house.create("query")
    for guess in (token, token[:-1] + ("A" if token[-1] != "A" else "B"), "x"):
        await house.use("api", guess)
        assert asked.pop() == projects.digest(guess)
    assert len(projects.digest(token)) == 32
