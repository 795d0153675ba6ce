"""A slash at the end of a path changes nothing, unless a route has it or an id holds it."""

import re

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from analytics.protocols import PROTOCOLS
from analytics.queries import QUESTIONS
from analytics.roles import api, processor
from analytics.roles.collector import collector
from analytics.roles.realtime import realtime
from analytics.settings import Settings
from tests.hostile.asking import ask
from tests.roles.http.kit import client


def answering(path: str) -> Route:
    async def endpoint(request: Request) -> Response:
        return PlainTextResponse(f"{path} {request.path_params.get('id', '')}".strip())

    return Route(path, endpoint)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a///", "/a"),
        ("/batch", "/batch"),
        ("/batch/", "/batch/"),
        ("/events/x", "/events/{id:path} x"),
        ("/events/x/", "/events/{id:path} x"),
        ("/events/x%2F", "/events/{id:path} x/"),
        ("/events/x%2F/", "/events/{id:path} x/"),
        ("/events/x/y/", "/events/{id:path} x/y"),
        ("/", "/"),
    ],
)
async def test_the_path_without_it_answers(path: str, says: str) -> None:
    routes = map(answering, ("/", "/a", "/batch", "/batch/", "/events/{id:path}"))
    async with client(*routes) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.text) == (200, says)


async def test_so_it_is_at_the_operators_paths() -> None:
    async with client() as http:
        for path in ("/health", "/health/live", "/metrics"):
            assert (await http.get(f"{path}/")).status_code == (await http.get(path)).status_code


PATHS = {
    "collector": [
        path
        for protocol in PROTOCOLS
        for path in (*protocol.routes, *protocol.stubs)
        if not path.endswith("/") and "{" not in path
    ]
    + ["/tracker.js"],
    "api": ["/api", "/api/openapi.json", "/api/docs"]
    + ["/api" + re.sub(r"{.*?}", "x", question.path) for question in QUESTIONS],
    "realtime": ["/realtime/events"],
    "processor": ["/metrics"],
}
ROLES = {
    "collector": collector.ROLE,
    "api": api.ROLE,
    "realtime": realtime.ROLE,
    "processor": processor.ROLE,
}


@pytest.mark.parametrize("role", ROLES)
async def test_every_path_of_every_role_is_the_same_with_it(
    role: str, migrated_url: str, redis_url: str
) -> None:
    """Statuses tell: without a key, a body or a method that fits, each path refuses its own way."""
    app = ROLES[role].app(Settings(database_url=migrated_url, redis_url=redis_url))
    async with app.router.lifespan_context(app):
        for path in PATHS[role]:
            for method in ("GET", "POST", "PUT"):
                plain = await ask(app, method, path.encode())
                slash = await ask(app, method, f"{path}/".encode())
                assert plain.status != 404, path
                assert slash.status == plain.status, (method, path)
