"""The operator's paths: health with its checks, liveness, and metrics."""

import asyncio

import pytest
from starlette.datastructures import State

from analytics import errors
from analytics.roles.http.health import together
from tests.roles.http.kit import client


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


async def test_health_says_whose_it_is() -> None:
    async with client() as http:
        for path in ("/health", "/health/live"):
            assert (await http.get(path)).headers["x-analytics-role"] == "collector"


def test_several_results_are_ok_once_with_all_that_they_warn_of() -> None:
    assert together("ok", "ok") == "ok"
    assert together("ok: a", "ok") == together("ok", "ok: a") == "ok: a"
    assert together("ok: a", "ok: b: c") == "ok: a: b: c"


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


async def test_metrics_are_served_even_when_a_gauge_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client() as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert "# TYPE analytics_events_received_total counter" in answer.text
    assert "could not be refreshed: ConnectionError" in caplog.text
