"""Cached answers: given only while they hold, only to keys of their project, and made once in each
process for all who ask at the same time.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

import asyncpg
import httpx2
import pytest

from analytics import projects
from analytics.queries import Question
from analytics.queries.answers.cache import AnswerCache
from analytics.queries.answers.slots import Answer, Slots
from analytics.queries.questions.trends import trends
from analytics.roles import api
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.queries.answers.cached import OLD, cached, client, put, total
from tests.waiting import until


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
    find, get, asked = Slots.find, AnswerCache.get, 0

    async def slow(self: Slots, name: bytes) -> Answer | None:
        begun.set()
        await gate.wait()
        return await find(self, name)

    def counted(*arguments: Any, **options: Any) -> Awaitable[tuple[Answer, bool]]:
        nonlocal asked
        asked += 1
        return get(*arguments, **options)

    monkeypatch.setattr(Slots, "find", slow)
    monkeypatch.setattr(AnswerCache, "get", counted)
    first = asyncio.create_task(http.get(OLD))
    await begun.wait()
    second = asyncio.create_task(http.get(OLD))
    await until(lambda: asked == 2)
    first.cancel()
    gate.set()
    assert (await second).status_code == 200
    assert first.cancelled()
