"""Two projects with the same ids: no question and no stream shows the other project's data."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import ASGIApp

from analytics import projects
from analytics.events import Event, Job, event_id
from analytics.queries import QUESTIONS, Question
from analytics.queue import Queue
from analytics.redis import connect, mirror
from analytics.roles import api
from analytics.roles.realtime import realtime
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.hostile.asking import Answer, ask

SHARED = "order 1"
NEEDED = {
    "/funnel": b"step=*&step=*",
    "/breakdown": b"by=event_type,metadata.secret&measure=count,users",
    "/trends": b"by=metadata.secret",
    "/paths": b"by=event_type",
    "/export": b"format=ndjson",
}
"""Parameters that a question needs, or that show most values."""


def an_event(project: str, name: str = "", **changes: Any) -> Event:
    """An event whose every text names its project; ids, sessions and users are the same in both."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    metadata = json.dumps({"secret": f"secret-of-{project}", "page": "/"}).encode()
    id_ = event_id(name) if name else uuid.uuid4()
    return Event(
        project,
        id_,
        "session",
        "person",
        f"type-of-{project}",
        f"action-of-{project}",
        metadata,
        now,
        now,
        named=True,
        **changes,
    )


class Tenants:
    """A running api, and keys of two projects that both have events."""

    def __init__(self, app: ASGIApp, keys: dict[str, str], config: Settings) -> None:
        self.app = app
        self.keys = keys
        self.config = config

    async def ask(self, project: str, path: str, query: bytes = b"") -> Answer:
        headers = [(b"x-api-key", self.keys[project].encode())]
        return await ask(self.app, "GET", f"/api{path}".encode(), query, headers)


@pytest.fixture
async def tenants(migrated_url: str, redis_url: str) -> AsyncIterator[Tenants]:
    config = Settings(environment="test", database_url=migrated_url, redis_url=redis_url)
    engine = create_async_engine(make_url(migrated_url).set(drivername="postgresql+asyncpg"))
    keys = {}
    for project in ("ours", "theirs"):
        await projects.create_project(engine, project)
        keys[project], _ = await projects.create_key(
            engine, scopes=["query", "realtime"], project=project
        )
    redis = Redis.from_url(redis_url)
    await mirror(engine, redis)
    await redis.aclose()
    await engine.dispose()
    store = await PostgresStore.open(config)
    events = [
        an_event(project, SHARED if not at else "")
        for project in ("ours", "theirs")
        for at in range(3 if project == "ours" else 5)
    ]
    assert (
        sum(outcome.stored for outcome in (await store.write([Job("job", tuple(events))])).outcomes)
        == 8
    )
    await store.close()
    app = api.ROLE.app(config)
    async with app.router.lifespan_context(app):
        yield Tenants(app, keys, config)


def address(question: Question, id_: str) -> str:
    return re.sub(r"\{[^}]*\}", id_, question.path)


async def test_no_question_answers_one_tenant_with_what_is_anothers(tenants: Tenants) -> None:
    for question in QUESTIONS:
        for id_ in ("person", str(event_id(SHARED)), "order%201"):
            answer = await tenants.ask(
                "ours", address(question, id_), NEEDED.get(question.path, b"")
            )
            assert answer.status in (200, 404), (question.path, answer)
            assert b"of-theirs" not in answer.body, question.path
    for path, seen in (("/trends", 3), ("/events", 3), ("/events/order%201", 1)):
        assert (
            await tenants.ask("ours", path, b"by=metadata.secret" if path == "/trends" else b"")
        ).body.count(b'"secret-of-ours"') == seen or path == "/trends"


async def test_every_question_about_another_tenant_is_403_and_says_nothing(
    tenants: Tenants,
) -> None:
    for question in QUESTIONS:
        for theirs in (
            b"project=theirs",
            b"project=theirs&project=theirs",
            b"project=default",
            b"project=nobody",
        ):
            query = b"&".join(filter(None, (NEEDED.get(question.path, b""), theirs)))
            answer = await tenants.ask("ours", address(question, "person"), query)
            assert answer.status in (403, 400), (question.path, answer)
            assert answer.status == 403 or theirs.count(b"project") == 2
            assert b"of-theirs" not in answer.body


async def test_numbers_are_of_the_tenant_who_asks(tenants: Tenants) -> None:
    for project, events in (("ours", 3), ("theirs", 5)):
        for rolled in (b"", b"where=metadata.page.eq./"):
            assert (await tenants.ask(project, "/trends", rolled)).json["data"]["series"][0][
                "total"
            ] == events
        assert len((await tenants.ask(project, "/events")).json["data"]["rows"]) == events
        assert (
            len((await tenants.ask(project, "/users/person/timeline")).json["data"]["rows"])
            == events
        )
        assert sum((await tenants.ask(project, "/live")).json["data"]["per_minute"]) == events
        assert (await tenants.ask(project, "/export", b"format=ndjson")).body.count(b"\n") == events
        event = (await tenants.ask(project, "/events/order%201")).json["data"]["event"]
        assert event["metadata"]["secret"] == f"secret-of-{project}"


async def test_a_cursor_of_one_tenant_shows_another_only_his_own(tenants: Tenants) -> None:
    for path in ("/events", "/users/person/timeline", "/users"):
        cursor = (await tenants.ask("theirs", path, b"limit=1")).json["data"]["next"]
        if cursor is not None:
            answer = await tenants.ask("ours", path, b"cursor=" + cursor.encode())
            assert answer.status in (200, 400)
            assert b"of-theirs" not in answer.body


async def test_an_event_that_waits_is_shown_to_its_own_tenant_only(tenants: Tenants) -> None:
    redis = connect(tenants.config)
    async with Queue(redis, tenants.config) as queue:
        await queue.append([an_event("theirs", "waiting")])
    assert (await tenants.ask("ours", "/events/waiting")).json["data"] == {"status": "unknown"}
    assert (await tenants.ask("theirs", "/events/waiting")).json["data"]["status"] == "queued"
    await redis.aclose()


async def test_no_stream_of_another_tenant_is_opened(tenants: Tenants) -> None:
    app = realtime.ROLE.app(tenants.config)
    async with app.router.lifespan_context(app):
        for channel in (b"events", b"counters"):
            own = [(b"x-api-key", tenants.keys["ours"].encode())]
            refused = await ask(
                app, "GET", b"/realtime/events", b"project=theirs&channel=" + channel, own
            )
            assert (refused.status, refused.json["error"]["code"]) == (403, "other_project")
            assert (
                await ask(app, "GET", b"/realtime/events", b"channel=" + channel, own)
            ).status == 200
