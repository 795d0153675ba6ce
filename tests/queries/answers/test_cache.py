"""Cached answers: given only while they hold, only to keys of their project, and made once in each
process for all who ask at the same time.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import msgspec
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from analytics import projects
from analytics.derived.deltas import Dimensions
from analytics.events import Event, Job
from analytics.queries import Question
from analytics.queries.answers.cache import name_of
from analytics.queries.answers.slots import MAX_SLOT_BYTES, PREFIX, Answer, Slots
from analytics.queries.questions.retention import retention
from analytics.queries.questions.trends import trends
from analytics.roles import api
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.stores.upkeep import rebuild

KEY = "ak_r_static"


def trends_of(*days: int) -> str:
    """A question about the time between so many days ago."""
    return "/api/trends?from={:%Y-%m-%d}&to={:%Y-%m-%d}".format(
        *(datetime.now(UTC) - timedelta(days=ago) for ago in days)
    )


OLD = trends_of(12, 4)


@pytest.fixture
def config(migrated_url: str, redis_url: str) -> Settings:
    return Settings(
        environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=(KEY,)
    )


@pytest.fixture
async def store(config: Settings) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(config)
    yield store
    await store.close()


def client(app: Starlette) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://api", headers={"X-API-Key": KEY}
    )


@pytest.fixture
async def http(config: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    app = api.ROLE.app(config)
    async with app.router.lifespan_context(app), client(app) as http:
        yield http


async def put(
    store: PostgresStore, project: str = "default", days: int = 6, action: str = "a"
) -> None:
    """An event of so many days ago, stored as the processor does it."""
    now = datetime.now(UTC)
    event = Event(project, uuid4(), "s", "u", "e", action, b"{}", now - timedelta(days=days), now)
    await store.write([Job(f"{uuid4().hex}.1", [event])])


def total(answer: httpx2.Response) -> Any:
    return answer.json()["data"]["series"][0]["total"]


def cached(answer: httpx2.Response) -> Any:
    return answer.json()["meta"]["cached"]


async def test_what_was_answered_is_given_again_until_an_event_comes_late(
    http: httpx2.AsyncClient, store: PostgresStore
) -> None:
    await put(store)
    first, again = await http.get(OLD), await http.get(OLD)
    assert (cached(first), cached(again), total(again)) == (False, True, 1)
    assert first.json()["meta"]["watermark"] == again.json()["meta"]["watermark"]
    await put(store, days=0)
    assert cached(await http.get(OLD)), "what happens after the range changes nothing"
    await put(store)
    late = await http.get(OLD)
    assert (cached(late), total(late)) == (False, 2)
    assert late.headers["etag"] != first.headers["etag"]


async def test_rows_that_somebody_removes_are_gone_from_the_next_answer(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings
) -> None:
    await put(store)
    assert [total(await http.get(OLD)) for _ in range(2)] == [1, 1]
    connection = await asyncpg.connect(config.database())
    await connection.execute("delete from raw_events")
    await connection.close()
    assert total(await http.get(OLD)) == 0


async def test_what_retention_drops_is_gone_from_the_next_answer(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings
) -> None:
    await put(store, days=30)
    older = trends_of(33, 25)
    assert [
        (total(answer), cached(answer)) for answer in [await http.get(older) for _ in range(2)]
    ] == [(1, False), (1, True)]
    keeper = await PostgresStore.open(msgspec.structs.replace(config, retention_days=8))
    await keeper.maintain()
    await keeper.close()
    assert total(await http.get(older)) == 0


async def test_an_answer_is_made_anew_after_a_rebuild(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings
) -> None:
    await put(store)
    assert [cached(await http.get(OLD)) for _ in range(2)] == [False, True]
    connection = await asyncpg.connect(config.database())
    day = int((datetime.now(UTC) - timedelta(days=6)).timestamp()) // 86400 * 24
    await rebuild.day(connection, "default", day, Dimensions(()))
    await connection.close()
    again = await http.get(OLD)
    assert (cached(again), total(again)) == (False, 1)


async def test_an_answer_is_never_another_tenants(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings
) -> None:
    """Both have as many events of that day, so that nothing but the name of an answer tells them
    apart.
    """
    engine = projects.open_engine(config.database())
    tokens = []
    for project, action in (("shop", "sell"), ("blog", "read")):
        await projects.create_project(engine, project)
        tokens.append((await projects.create_key(engine, scopes=["query"], project=project))[0])
        await put(store, project, action=action)
    await engine.dispose()
    for _ in range(2):
        assert [
            total(await http.get(f"{OLD}&event=e:read", headers={"X-API-Key": token}))
            for token in tokens
        ] == [0, 1]
        assert total(await http.get(f"{OLD}&event=e:read")) == 0
        assert (
            await http.get(f"{OLD}&project=shop", headers={"X-API-Key": tokens[1]})
        ).status_code == 403


async def test_etag_and_304(http: httpx2.AsyncClient, store: PostgresStore) -> None:
    await put(store)
    first = await http.get(OLD)
    assert first.headers["cache-control"] == "private, max-age=300"
    assert first.headers["vary"] == "Authorization, X-API-Key, Origin", (
        "whose answer it is decides who may be given it"
    )
    for tags in (first.headers["etag"], f'"x", W/{first.headers["etag"]}'):
        again = await http.get(OLD, headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (
            304,
            b"",
            first.headers["etag"],
        )
    assert (await http.get(OLD, headers={"If-None-Match": '"x"'})).status_code == 200
    assert (await http.get("/api/trends?last=7d")).headers["cache-control"] == "private, max-age=2"
    events = await http.get("/api/events")
    assert (events.headers["cache-control"], "etag" in events.headers) == (
        "private, no-cache",
        True,
    )


async def test_no_cache_asks_anew(http: httpx2.AsyncClient) -> None:
    await http.get(OLD)
    assert not cached(await http.get(OLD, headers={"Cache-Control": "no-cache"}))


async def test_an_api_makes_an_answer_once_for_all_who_ask_at_the_same_time(
    config: Settings,
) -> None:
    made = 0
    gate = asyncio.Event()

    async def slow(query: Any, snapshot: Any) -> Any:
        nonlocal made
        made += 1
        if made == 2:  # both apis are at it
            gate.set()
        await gate.wait()
        return await trends.QUESTION.answer(query, snapshot)

    apps = [api.ROLE.app(config), api.ROLE.app(config)]
    for app in apps:
        question = Question("/trends", trends.QUESTION.query, slow)
        app.router.routes.insert(0, api._route(question))
    async with (
        apps[0].router.lifespan_context(apps[0]),
        apps[1].router.lifespan_context(apps[1]),
        client(apps[0]) as one,
        client(apps[1]) as other,
    ):
        answers = await asyncio.gather(*(http.get(OLD) for http in (one, other) * 10))
        assert cached(await one.get(OLD))
        assert cached(await other.get(OLD))
    assert made == 2
    assert {answer.status_code for answer in answers} == {200}
    assert sum(not cached(answer) for answer in answers) == 2


async def test_who_leaves_early_leaves_the_others_their_answer(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    find = Slots.find

    async def slow(self: Slots, name: bytes) -> Answer | None:
        begun.set()
        await gate.wait()
        return await find(self, name)

    monkeypatch.setattr(Slots, "find", slow)
    first = asyncio.create_task(http.get(OLD))
    await begun.wait()
    second = asyncio.create_task(http.get(OLD))
    await asyncio.sleep(0.1)
    first.cancel()
    gate.set()
    assert (await second).status_code == 200
    assert first.cancelled()


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


def test_a_retention_whose_last_period_is_not_over_is_recent() -> None:
    now = datetime.now(UTC)
    query = retention.Retention(
        project="p", start=now - timedelta(days=3), end=now - timedelta(days=2), periods=7
    )
    assert query.until is not None
    assert query.until > now
