"""The api over HTTP: who may ask, what errors look like, what is counted, and what happens when a
server is down.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.types import Message

from analytics import metrics, projects
from analytics.embedded import Postgres
from analytics.events import Event, event_id
from analytics.projects import key_cache
from analytics.queries import QUESTIONS
from analytics.queries.answers import openapi
from analytics.queries.database import snapshot as snapshots
from analytics.queries.questions.export import export
from analytics.queue import Queue, scripts
from analytics.queue.reader import Horizon, Reader
from analytics.redis import connect
from analytics.roles import api
from analytics.settings import Settings
from analytics.tables import raw_events
from tests import servers

KEY = "ak_r_static"
STATIC = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    """The database that the api reads, to be written to."""
    engine = create_async_engine(migrated_url.replace("postgresql", "postgresql+asyncpg", 1))
    yield engine
    await engine.dispose()


@pytest.fixture
def config(migrated_url: str, redis_url: str) -> Settings:
    return Settings(
        environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=(KEY,)
    )


@asynccontextmanager
async def client(config: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    app: Starlette = api.ROLE.app(config)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://api", headers=STATIC
        ) as http,
    ):
        yield http


@pytest.fixture
async def http(config: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(config) as caller:
        yield caller


def event(project: str = "default", id_: Any = None, **fields: Any) -> Event:
    now = datetime.now(UTC)
    values = {
        "session_id": "s",
        "user_id": "u",
        "event_type": "e",
        "event_action": "a",
        "metadata": b'{"page": "/"}',
        "timestamp": now,
        "created_at": now,
    }
    return Event(project=project, id=id_ or uuid4(), **{**values, **fields})


async def store(engine: AsyncEngine, events: Sequence[Event]) -> None:
    rows = [
        {column.name: getattr(one, column.name) for column in raw_events.c}
        | {"metadata": json.loads(one.metadata)}
        for one in events
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(raw_events), rows)


# keys


async def test_a_key_is_taken_from_either_header(http: httpx2.AsyncClient) -> None:
    for headers in (
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY, "Authorization": "Basic eDp5"},
    ):
        assert (await http.get("/api/live", headers=headers)).status_code == 200


async def test_without_a_known_key_there_is_no_answer(config: Settings) -> None:
    app = api.ROLE.app(config)
    nobody: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nope"},
        {"X-API-Key": "nope"},
        {"Authorization": "Basic eDp5"},
    ]
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http,
    ):
        for headers in nobody:
            for question in QUESTIONS:
                answer = await http.get(
                    f"/api{question.path.replace('{id:path}', '1')}?nonsense=1", headers=headers
                )
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_without_the_scope_is_forbidden(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    token, _ = await projects.create_key(engine, scopes=["ingest"], project=None)
    answer = await http.get("/api/trends?nonsense=1", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope")


async def test_a_projects_key_reads_that_project_only(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    await projects.create_project(engine, "shop")
    await store(engine, [event("shop"), event("shop"), event("default")])
    token, _ = await projects.create_key(engine, scopes=["query"], project="shop")
    own = {"X-API-Key": token, "Authorization": ""}
    assert (await http.get("/api/trends", headers=own)).json()["data"]["series"][0]["total"] == 2
    assert (await http.get("/api/trends?project=shop", headers=own)).json()["data"]["series"][0][
        "total"
    ] == 2
    answer = await http.get("/api/trends?project=default", headers=own)
    assert (answer.status_code, answer.json()["error"]["field"]) == (403, "project")
    assert (await http.get("/api/trends?project=shop")).json()["data"]["series"][0]["total"] == 2


async def test_a_project_that_does_not_exist_is_named_only_to_who_may_read_every_project(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    for name in ("shop", "theirs"):
        await projects.create_project(engine, name)
    token, _ = await projects.create_key(engine, scopes=["query"], project="shop")
    own = {"X-API-Key": token, "Authorization": ""}
    needed = {"/breakdown": "by=event_type", "/funnel": "step=a&step=b"}
    for question in QUESTIONS:
        parameters = needed.get(question.path, "")
        path = f"/api{question.path.replace('{id:path}', 'x')}?{parameters}"
        missing = await http.get(f"{path}&project=nowhere")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_project")
        assert (await http.get(f"{path}&project=theirs")).status_code == 200
        refused = [
            (await http.get(f"{path}&project={name}", headers=own))
            for name in ("theirs", "nowhere")
        ]
        assert {answer.status_code for answer in refused} == {403}
        assert refused[0].json() == refused[1].json()
        assert refused[0].json()["error"]["code"] == "other_project"


# pages


PAGE = "https://board.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "x-api-key",
}


async def test_pages_of_listed_origins_may_ask_and_read_refusals_without_credentials(
    config: Settings,
) -> None:
    listed = msgspec.structs.replace(config, api_cors_origins=(PAGE,))
    async with client(listed) as http:
        answers = [
            await http.options("/api/trends", headers={"Origin": PAGE, **PREFLIGHT}),
            await http.get("/api/trends", headers={"Origin": PAGE}),
            await http.get("/api/trends/", headers={"Origin": PAGE}),
            await http.get("/api/openapi.json", headers={"Origin": PAGE}),
            await http.get("/api/trends?x=1", headers={"Origin": PAGE}),
            await http.get("/api/trends", headers={"Origin": PAGE, "Authorization": ""}),
            await http.get("/api/trends?project=nowhere", headers={"Origin": PAGE}),
            await http.get("/api/nowhere", headers={"Origin": PAGE}),
            await http.post("/api/trends", headers={"Origin": PAGE}),
        ]
        statuses = [204, 200, 200, 200, 400, 401, 404, 404, 405]
        assert [answer.status_code for answer in answers] == statuses
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "access-control-allow-credentials" not in answer.headers
            assert "origin" in answer.headers["vary"].lower()
        assert answers[0].headers["access-control-allow-headers"] == "x-api-key"
        assert answers[0].headers["access-control-allow-methods"] == "GET"
        shown = answers[1].headers["access-control-expose-headers"].split(", ")
        described = {*openapi.ANSWER, *openapi.FILE} - {"Cache-Control", "Vary"}
        assert {name.lower() for name in described} <= {*shown}


async def test_other_pages_may_not_and_by_default_none_may(config: Settings) -> None:
    listed = msgspec.structs.replace(config, api_cors_origins=(PAGE,))
    for settings, origin in ((config, PAGE), (listed, "https://evil.example"), (listed, "null")):
        async with client(settings) as http:
            preflight = await http.options("/api/trends", headers={"Origin": origin, **PREFLIGHT})
            assert preflight.json()["error"]["code"] == "foreign_origin"
            answers = [preflight, await http.get("/api/trends", headers={"Origin": origin})]
        assert [answer.status_code for answer in answers] == [403, 200]
        for answer in answers:
            assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_no_page_reads_the_operators_paths(config: Settings) -> None:
    async with client(msgspec.structs.replace(config, api_cors_origins=("*",))) as http:
        answer = await http.get("/api", headers={"Origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == "*"
        for path in ("/health", "/health/live", "/metrics", "/metrics/"):
            headers = (await http.get(path, headers={"Origin": PAGE})).headers
            assert not [name for name in headers if name.startswith("access-control-")]


# answers and errors


async def test_an_export_ends_once_its_key_is_revoked(
    config: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two slices, as soon as the cache of keys knows it."""
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 0)
    monkeypatch.setattr(export, "SLICE_ROWS", 1)
    token, _ = await projects.create_key(engine, scopes=["query"], project=None)
    await store(engine, [event() for _ in range(5)])
    app: Starlette = api.ROLE.app(config)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if sum(bool(message.get("body")) for message in sent) == 2:
            await projects.revoke_key(engine, token)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    headers = [(b"x-api-key", token.encode())]
    scope = {"type": "http", "method": "GET", "path": "/api/export", "query_string": b""}
    async with app.router.lifespan_context(app):
        await app({**scope, "headers": headers, "asgi": {"spec_version": "2.4"}}, receive, send)
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    assert sum(message["body"].count(b"\n") for message in bodies) == 2
    assert all(message["more_body"] for message in bodies)


async def test_an_answer_says_what_was_asked_and_how_far_it_reaches(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    await store(engine, [event()])
    before = datetime.now(UTC)
    answer = await http.get("/api/trends?by=metadata.page&last=1h&interval=hour")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["data", "query", "meta"]
    assert body["data"]["series"][0] | {"values": None} == {
        "key": {"metadata.page": "/"},
        "values": None,
        "total": 1,
    }
    assert body["query"]["by"] == "metadata.page"
    assert body["meta"].keys() == {"source", "watermark", "partial", "cached", "ms"}
    assert body["meta"]["watermark"].endswith("Z")
    watermark = datetime.fromisoformat(body["meta"]["watermark"])  # in milliseconds
    assert before - timedelta(milliseconds=1) <= watermark <= datetime.now(UTC)
    assert (body["meta"]["partial"], body["meta"]["cached"]) == (False, False)


async def waiting_for_a_minute(redis: Redis) -> datetime:
    """Makes the one job in the queue a minute old; when it was appended, then."""
    appended = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    [job_id] = await redis.zrange(scripts.PENDING, 0, -1)
    await redis.zadd(scripts.PENDING, {job_id: appended.timestamp() * 1000})
    return appended


async def test_the_watermark_stays_before_what_still_waits(
    http: httpx2.AsyncClient, config: Settings
) -> None:
    redis = connect(config)
    async with Queue(redis, config) as queue:
        await queue.append([event()])
        appended = await waiting_for_a_minute(redis)
        meta = (await http.get("/api/live")).json()["meta"]
    await redis.aclose()
    assert datetime.fromisoformat(meta["watermark"]) == appended
    assert meta["partial"] is True


async def test_the_watermark_is_read_before_the_snapshot(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read after it, it would vouch for events that were stored in between and are not in the
    answer.
    """
    reached = before = datetime.now(UTC)

    async def horizon(_: Reader, project: str | None = None) -> Horizon:
        return Horizon(reached, waiting=False)

    @asynccontextmanager
    async def noted(*arguments: Any) -> AsyncIterator[snapshots.Snapshot]:
        nonlocal reached
        async with snapshots.open_snapshot(*arguments) as snapshot:
            reached = before + timedelta(seconds=1)
            yield snapshot

    monkeypatch.setattr(Reader, "horizon", horizon)
    monkeypatch.setattr("analytics.queries.answers.answer.open_snapshot", noted)
    meta = (await http.get("/api/trends")).json()["meta"]
    assert datetime.fromisoformat(meta["watermark"]) == before


async def test_an_answer_is_partial_when_its_range_reaches_past_what_still_waits(
    http: httpx2.AsyncClient, config: Settings
) -> None:
    redis = connect(config)
    async with Queue(redis, config) as queue:
        await queue.append([event()])
        await waiting_for_a_minute(redis)
        earlier, later = (
            f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (-1, 1)
        )
        paths = ("/api/live", "/api/trends", f"/api/trends?to={later}", f"/api/trends?to={earlier}")
        waiting = [(await http.get(path)).json()["meta"]["partial"] for path in paths]
        await redis.flushdb()
        settled = [(await http.get(path)).json()["meta"]["partial"] for path in paths]
    await redis.aclose()
    assert waiting == [True, True, True, False]
    assert settled == [False, False, False, False]


async def test_what_waits_of_another_project_makes_no_answer_partial(
    http: httpx2.AsyncClient, engine: AsyncEngine, config: Settings
) -> None:
    await projects.create_project(engine, "shop")
    redis = connect(config)
    async with Queue(redis, config) as queue:
        await queue.append([event("shop")])
        for project, waits in (("shop", True), ("default", False)):
            answer = await http.get(f"/api/trends?project={project}")
            assert answer.json()["meta"]["partial"] is waits
    await redis.aclose()


async def test_beside_events_nothing_is_asked_of_a_replica(
    config: Settings, engine: AsyncEngine, postgres_server: Postgres, migrated_database: str
) -> None:
    """A replica may be late: here it knows no key, no project and no loss."""
    await projects.create_project(engine, "shop")
    token, _ = await projects.create_key(engine, scopes=["query"], project=None)
    async with engine.begin() as connection:
        await connection.execute(text("update queue_epoch set lost_from = now() - interval '1 d'"))
    with servers.database(postgres_server, template=migrated_database) as replica:
        behind = msgspec.structs.replace(config, database_replica_url=replica)
        async with client(behind) as http:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await http.get("/api/trends?project=shop", headers=headers)
    assert answer.status_code == 200
    assert "unsure_since" in answer.json()["meta"]


ERRORS: list[tuple[str, int, str | None]] = [
    ("/api/trends?limit=99999999999999999999", 400, "limit"),
    ("/api/trends?event=%00", 400, "event"),
    ("/api/trends?event=%FF", 400, "event"),
    ("/api/trends?where=metadata.k.re.%28", 400, "where"),
    ("/api/trends?x%22%7D%201%0Ainjected=1", 400, 'x"} 1\ninjected'),
    ("/api/nowhere", 404, None),
    ("/api/trends?by=metadata.", 400, "by"),
    ("/api/trends?project=nowhere", 404, "project"),
    ("/api/events/" + "x" * 256, 400, "id"),
    ("/api/events/%00", 400, "id"),
]


async def test_an_error_is_json_with_code_message_and_field(http: httpx2.AsyncClient) -> None:
    for path, status, field in ERRORS:
        answer = await http.get(path)
        error = answer.json()["error"]
        assert (answer.status_code, error.get("field")) == (status, field)
        assert error["code"]
        assert error["message"]


async def test_only_get_is_understood(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/api/trends")).json()["error"]["code"] == "method_not_allowed"


def counted() -> Counter[str]:
    """Queries so far, by labels."""
    lines = (
        line.rpartition(" ")
        for line in metrics.render("api")[0].decode().splitlines()
        if line.startswith("analytics_api_requests_total{")
    )
    return Counter({labels.partition("{")[2]: int(number) for labels, _, number in lines})


async def test_queries_are_counted_by_declared_endpoint_and_status(
    http: httpx2.AsyncClient,
) -> None:
    before = counted()
    for path in (
        "/api/trends",
        "/api/trends?x=1",
        "/api/events/a/b",
        "/api/x%22%7D%201%0Ainjected",
        "/health",
        "/apis",
    ):
        await http.get(path)
    assert counted() - before == {
        'endpoint="/events/{id}",status="200"}': 1,
        'endpoint="/trends",status="200"}': 1,
        'endpoint="/trends",status="400"}': 1,
        'endpoint="other",status="404"}': 1,
    }


# the questions that are about now


async def test_live_counts_actors_of_five_minutes_and_events_of_thirty(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    now = datetime.now(UTC)
    ages = [(1, "u"), (1, "u"), (200, "v"), (1000, "w"), (1801, "x"), (-100, "y")]
    await store(
        engine, [event(user_id=user, timestamp=now - timedelta(seconds=age)) for age, user in ages]
    )
    data = (await http.get("/api/live")).json()["data"]
    assert (data["visitors"], data["window_s"], len(data["per_minute"])) == (2, 300, 30)
    assert (sum(data["per_minute"]), data["per_minute"][-1], data["per_minute"][-4]) == (4, 2, 1)


async def test_schema_names_what_was_seen_with_counts(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    await store(
        engine,
        [
            event(),
            event(event_action="b", metadata=b'{"page": 1, "n": {"x": 1}}'),
            event(event_type="f", metadata=b"{}"),
            event("shop"),
        ],
    )
    assert (await http.get("/api/schema")).json()["data"] == {
        "event_types": [{"event_type": "e", "count": 2}, {"event_type": "f", "count": 1}],
        "event_actions": [
            {"event_type": "e", "event_action": "a", "count": 1},
            {"event_type": "e", "event_action": "b", "count": 1},
            {"event_type": "f", "event_action": "a", "count": 1},
        ],
        "metadata_keys": [{"key": "page", "count": 2}, {"key": "n", "count": 1}],
    }


async def test_an_event_is_queued_until_it_is_stored(
    http: httpx2.AsyncClient, config: Settings, engine: AsyncEngine
) -> None:
    sent = event(id_=event_id("order 1"), metadata=b'{"a":1}')
    redis = connect(config)
    async with Queue(redis, config) as queue:
        await queue.append([sent])
    await redis.aclose()
    queued = (await http.get("/api/events/order%201")).json()["data"]
    assert (queued["status"], queued["event"]["metadata"]) == ("queued", {"a": 1})
    await projects.create_project(engine, "shop")
    assert (await http.get("/api/events/order%201?project=shop")).json()["data"] == {
        "status": "unknown"
    }
    await store(engine, [sent])
    stored = (await http.get(f"/api/events/{sent.id}")).json()["data"]
    assert stored == {"status": "stored", "event": queued["event"]}


async def test_events_of_one_senders_id_are_found_wherever_they_are(
    http: httpx2.AsyncClient, config: Settings, engine: AsyncEngine
) -> None:
    waiting, also = (event(metadata=b'{"$id":"i-1","n":%d}' % n) for n in range(2))
    redis = connect(config)
    async with Queue(redis, config) as queue:
        await queue.append([waiting, event(), also])
    await redis.aclose()
    await store(engine, [also, event(metadata=b'{"$id":"i-2"}')])
    found = (await http.get("/api/events/i-1")).json()["data"]
    assert [
        (place["status"], place["event"]["metadata"]) for place in (found, *found["others"])
    ] == [("stored", {"$id": "i-1", "n": 1}), ("queued", {"$id": "i-1", "n": 0})]


# outages


async def test_without_redis_it_still_answers_but_knows_no_watermark(
    config: Settings, engine: AsyncEngine
) -> None:
    await store(engine, [event()])
    lonely = Settings(
        environment="test",
        database_url=config.database_url,
        redis_url="redis://127.0.0.1:1/0",
        api_keys=(KEY,),
    )
    async with client(lonely) as http:
        body = (await http.get("/api/trends")).json()
        assert (body["meta"]["watermark"], body["meta"]["partial"]) == (None, True)
        assert body["data"]["series"][0]["total"] == 1
        assert (await http.get("/api/events/1")).json()["data"] == {"status": "unknown"}
        assert (await http.get("/health")).status_code == 200


async def test_without_a_database_it_says_so_and_when_to_come_back(config: Settings) -> None:
    lonely = Settings(
        environment="test",
        database_url="postgresql://x:y@127.0.0.1:1/z",
        redis_url=config.redis_url,
        api_keys=(KEY,),
    )
    async with client(lonely) as http:
        answer = await http.get("/api/trends")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert (await http.get("/health")).status_code == 503
        assert (
            await http.get("/api/trends", headers={"Authorization": "Bearer ak_r_other"})
        ).status_code == 503


async def test_a_database_without_tables_is_a_hint_not_a_crash(
    database_url: str, redis_url: str
) -> None:
    async with client(
        Settings(
            environment="test", database_url=database_url, redis_url=redis_url, api_keys=(KEY,)
        )
    ) as http:
        answer = await http.get("/api/trends")
        health = await http.get("/health")
    assert answer.status_code == 503
    assert "analytics migrate" in answer.json()["error"]["message"]
    assert health.status_code == 503
    assert "analytics migrate" in health.json()["checks"]["database"]


async def test_an_api_is_not_healthy_before_the_tables_of_its_release_are_there(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    assert (await http.get("/health")).json()["checks"]["database"] == "ok"
    async with engine.begin() as connection:
        await connection.execute(text("update alembic_version set version_num = '0003'"))
    health = await http.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert "the schema is at 0003" in health.json()["checks"]["database"]
    async with engine.begin() as connection:
        await connection.execute(text("delete from alembic_version"))
    health = await http.get("/health")
    assert "the schema is at nothing" in health.json()["checks"]["database"]


async def test_an_api_is_not_healthy_before_keys_can_be_looked_up(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    for renamed, status in (("api_keys RENAME TO away", 503), ("away RENAME TO api_keys", 200)):
        async with engine.begin() as connection:
            await connection.execute(text(f"ALTER TABLE {renamed}"))
        health = await http.get("/health")
        assert health.status_code == status
    assert health.json()["checks"]["database"] == "ok"


async def test_a_question_that_takes_too_long_is_cut_off(
    http: httpx2.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "STATEMENT_SECONDS", 0.3)
    await store(engine, [event()])
    async with engine.begin() as connection:
        await connection.execute(text("alter table raw_events rename to hidden"))
        await connection.execute(
            text("create view raw_events as select hidden.* from hidden, pg_sleep(30)")
        )
    answer = await http.get("/api/trends")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too_slow")


async def test_connections_that_died_with_a_restart_are_replaced(
    http: httpx2.AsyncClient, engine: AsyncEngine
) -> None:
    assert (await http.get("/api/trends")).status_code == 200
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'analytics api'"
            )
        )
    assert (await http.get("/api/trends")).status_code == 200


async def test_redis_is_closed_at_the_end(config: Settings) -> None:
    async with client(config) as http:
        await http.get("/api/live")
    redis = Redis.from_url(config.redis())
    assert len(await redis.client_list()) == 1
    await redis.aclose()
