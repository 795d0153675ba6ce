"""A query's way through our code, counted: the frames from the api's endpoint to the database."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

import analytics
from analytics.events import Event, Job
from analytics.queries.precomputed import pieces
from analytics.roles import api
from analytics.settings import Settings
from analytics.stores import PostgresStore

PACKAGE = Path(analytics.__file__).parent
QUESTIONS = ("queries/questions/", "queries/precomputed/")

MAX_FRAMES = 10
"""Endpoint, answer, the task that equal requests share, the answer's snapshot, the statement; and
between the last two the question's own.
"""

KEY = "ak_r_static"


def outer(task: "asyncio.Task[Any]") -> "asyncio.Task[Any] | None":
    """The task that waits for this one, be it through `asyncio.shield`."""
    shields = {
        cell.cell_contents
        for callback, _ in getattr(task, "_callbacks", None) or ()
        for cell in getattr(callback, "__closure__", None) or ()
        if isinstance(cell.cell_contents, asyncio.Future)
    }
    waited_for = {task, *shields}
    others = asyncio.all_tasks() - {task}
    return next((one for one in others if getattr(one, "_fut_waiter", None) in waited_for), None)


def awaits(task: "asyncio.Task[Any]") -> list[CodeType]:
    """The coroutines of a task that waits, outermost first."""
    codes: list[CodeType] = []
    coroutine: object = task.get_coro()
    while inspect.iscoroutine(coroutine):
        codes.append(coroutine.cr_code)
        coroutine = coroutine.cr_await
    return codes


def running(frame: FrameType | None) -> Iterator[CodeType]:
    """The frames of the task that runs, innermost first."""
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def way(frame: FrameType) -> list[str]:
    """Our own frames from the endpoint to this one, across tasks, as `file:function`."""
    codes = list(running(frame))[::-1]
    task = asyncio.current_task()
    while task is not None and (task := outer(task)) is not None:
        codes = awaits(task) + codes
    names = [
        f"{Path(code.co_filename).relative_to(PACKAGE)}:{code.co_qualname}"
        for code in codes
        if Path(code.co_filename).is_relative_to(PACKAGE)
    ]
    endpoints = [at for at, name in enumerate(names) if name.startswith("roles/api.py:_route")]
    return names[endpoints[-1] :] if endpoints else []


@pytest.fixture
async def http(migrated_url: str, redis_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """An api whose database holds an event of six days ago."""
    config = Settings(
        environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=(KEY,)
    )
    now = datetime.now(UTC)
    event = Event("default", uuid4(), "s", "u", "e", "a", b"{}", now - timedelta(days=6), now)
    store = await PostgresStore.open(config)
    await store.write([Job(f"{uuid4().hex}.1", [event])])
    await store.close()
    app = api.ROLE.app(config)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://api", headers={"X-API-Key": KEY}
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("source", ["raw", "rollup"])
async def test_a_query_passes_at_most_ten_of_our_frames(
    source: str, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[list[str]] = []
    execute = AsyncConnection.execute

    def recorded(self: AsyncConnection, *arguments: Any, **options: Any) -> Any:
        ways.append(way(sys._getframe(1)))
        return execute(self, *arguments, **options)

    monkeypatch.setattr(AsyncConnection, "execute", recorded)
    monkeypatch.setattr(pieces, "MAX_RAW_SHARE", float("inf") if source == "rollup" else -1)
    day = datetime.now(UTC) - timedelta(days=12)
    answer = await http.get(f"/api/trends?from={day:%Y-%m-%d}&measure=count")
    assert answer.json()["meta"]["source"] == source
    assert not answer.json()["meta"]["cached"]
    of_question = [names for names in ways if any(name.startswith(QUESTIONS) for name in names)]
    deepest = max(of_question, key=len)
    assert len(deepest) <= MAX_FRAMES, "\n".join(deepest)
