"""Each role is a plain ASGI app with its own lifespan, which any ASGI server can run."""

import importlib
from typing import Any

import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from analytics.queue import scripts

ROLES = ("collector", "processor", "api", "realtime")


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, redis_url: str, migrated_url: str) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("DATABASE_URL", migrated_url)


def created(role: str) -> Starlette:
    app: Starlette = importlib.import_module(f"analytics.roles.{role}").create()
    return app


async def ask(app: Starlette, method: str, path: str, body: bytes = b"") -> int:
    """The status of an answer, as a server would hear it."""
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
    }
    await app(
        {
            **scope,
            "query_string": b"",
            "root_path": "",
            "headers": [],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        },
        receive,
        send,
    )
    return int(messages[0]["status"])


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_lives_by_its_lifespan_alone(role: str) -> None:
    app = created(role)
    async with app.router.lifespan_context(app):
        assert await ask(app, "GET", "/health/live") == 200


async def test_a_collector_that_our_server_does_not_run_makes_events_durable(
    redis_url: str,
) -> None:
    app = created("collector")
    async with app.router.lifespan_context(app):
        event = b'{"session_id": "s", "event_type": "engagement", "event_action": "click"}'
        assert await ask(app, "POST", "/collect", event) == 202
    redis = Redis.from_url(redis_url)
    assert await scripts.queued(redis) == 1
    await redis.aclose()
