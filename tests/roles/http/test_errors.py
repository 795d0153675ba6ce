"""Errors as responses: status, body and headers."""

import pytest
from starlette.routing import Route

from analytics import errors
from analytics.roles.http.errors import STATUS, error_body, status_of
from tests.roles.http.kit import client, raising


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


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/health/nowhere", 404, "not_found"),
        ("DELETE", "/health", 405, "method_not_allowed"),
    ],
)
async def test_what_the_router_refuses_is_json_too(
    method: str, path: str, status: int, code: str
) -> None:
    async with client() as http:
        answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_error_without_a_status_has_that_of_its_kind_or_500() -> None:
    assert status_of(errors.UnknownKey("x")) == 401
    assert status_of(errors.CommandError("x")) == 500
    assert error_body(errors.UnknownKey("x")) == {"code": "unauthorized", "message": "x"}
