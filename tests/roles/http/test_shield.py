"""The shield: security headers, one length of a request, no unexpected exception in a response."""

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.roles.http.kit import client, raising


async def test_an_unexpected_exception_is_a_json_500_with_the_cause_in_the_log_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client(Route("/x", raising(ValueError("the cause")))) as http:
        answer = await http.get("/x")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "the cause" not in answer.text
    assert "the cause" in caplog.text


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
