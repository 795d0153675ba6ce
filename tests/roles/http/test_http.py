"""What every role shares: statuses of errors, the shield, health and metrics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from analytics import errors
from analytics.roles.http.errors import STATUS
from analytics.roles.http.health import Check
from analytics.roles.http.role import Role
from analytics.settings import Settings


class Queue:
    """A queue whose Redis does not answer."""

    async def refresh_gauges(self) -> None:
        raise ConnectionError


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.queue = Queue()
    yield


async def ok(_: State) -> str:
    return "ok"


def raising(error: Exception) -> Callable[[Request], Awaitable[Response]]:
    async def handler(_: Request) -> Response:
        raise error

    return handler


@asynccontextmanager
async def client(*routes: Route, check: Check = ok) -> AsyncIterator[httpx2.AsyncClient]:
    role = Role(name="role", routes=lambda _: routes, lifespan=lifespan, checks={"redis": check})
    app = role.app(Settings())
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://role") as http,
    ):
        http.app = app  # type: ignore[attr-defined]
        yield http


@pytest.mark.parametrize(
    ("kind", "status"), STATUS.items(), ids=lambda value: getattr(value, "__name__", str(value))
)
async def test_each_error_has_its_status_and_says_code_message_and_field(
    kind: type[errors.AnalyticsError], status: int
) -> None:
    async with client(Route("/x", raising(kind("no", code="c", field="f")))) as http:
        answer = await http.get("/x")
    assert answer.status_code == status
    assert answer.json() == {"error": {"code": "c", "message": "no", "field": "f"}}
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_waiting_helps_is_said_with_retry_after() -> None:
    async with client(Route("/x", raising(errors.Unavailable("full", retry_after=7)))) as http:
        assert (await http.get("/x")).headers["retry-after"] == "7"


async def test_an_unexpected_exception_is_a_json_500_with_the_cause_in_the_log_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client(Route("/x", raising(ValueError("the cause")))) as http:
        answer = await http.get("/x")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "the cause" not in answer.text
    assert "the cause" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/health/", 404, "not_found"),
        ("DELETE", "/health", 405, "method_not_allowed"),
    ],
)
async def test_what_the_router_refuses_is_json_too(
    method: str, path: str, status: int, code: str
) -> None:
    async with client() as http:
        answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_request_of_two_lengths_is_refused_and_its_connection_closed() -> None:
    async with client() as http:
        answer = await http.get(
            "/health/live", headers={"Content-Length": "5", "Transfer-Encoding": "chunked"}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "two_lengths")
    assert answer.headers["connection"] == "close"


async def test_every_answer_has_the_security_headers_and_is_not_stored_unless_it_says_so() -> None:
    async def cached(_: Request) -> Response:
        return PlainTextResponse("x", headers={"Cache-Control": "max-age=5"})

    async with client(Route("/cached", cached)) as http:
        plain, own, missing = (
            await http.get("/health/live"),
            await http.get("/cached"),
            await http.get("/nowhere"),
        )
    assert plain.headers["cache-control"] == "no-store"
    assert own.headers["cache-control"] == "max-age=5"
    for answer in (plain, own, missing):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_health_has_the_guides_shape() -> None:
    async with client() as http:
        answer = await http.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["version"], body["checks"]) == (
        "healthy",
        "1.0.0",
        {"redis": "ok"},
    )
    assert isinstance(body["uptime"], int)


async def test_a_warning_is_shown_but_healthy() -> None:
    async def warned(_: State) -> str:
        return "ok: appendfsync is everysec"

    async with client(check=warned) as http:
        answer = await http.get("/health")
    assert (answer.status_code, answer.json()["checks"]["redis"]) == (
        200,
        "ok: appendfsync is everysec",
    )


async def test_a_failed_check_makes_the_role_unhealthy_but_alive() -> None:
    async def failing(_: State) -> str:
        raise errors.Unavailable("Redis does not answer")

    async with client(check=failing) as http:
        ready, live = await http.get("/health"), await http.get("/health/live")
    assert (ready.status_code, ready.json()["status"], ready.json()["checks"]["redis"]) == (
        503,
        "unhealthy",
        "Redis does not answer",
    )
    assert live.status_code == 200


async def test_a_check_that_hangs_does_not_hang_health(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hanging(_: State) -> str:
        await asyncio.sleep(3600)
        return "ok"

    monkeypatch.setattr("analytics.roles.http.health.CHECK_SECONDS", 0.05)
    async with client(check=hanging) as http:
        answer = await http.get("/health")
    assert answer.status_code == 503
    assert "no answer within" in answer.json()["checks"]["redis"]


async def test_a_role_that_stops_is_not_ready() -> None:
    async with client() as http:
        http.app.state.ready = False  # type: ignore[attr-defined]
        assert (await http.get("/health")).status_code == 503


async def test_metrics_are_served_even_when_a_gauge_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client() as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert "# TYPE analytics_events_received_total counter" in answer.text
    assert "could not be refreshed: ConnectionError" in caplog.text
