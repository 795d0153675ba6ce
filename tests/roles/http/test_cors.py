"""Which pages may send events."""

from collections.abc import AsyncIterator

import pytest

from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES
from tests.browser import AGENT
from tests.collecting import GOOD, Client, error_of, running


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running() as started:
        yield started


async def test_any_page_may_send_with_credentials_and_read_the_answer(client: Client) -> None:
    answers = [
        await client.send_events(GOOD, origin="https://any.example"),
        await client.send_events(b"", origin="https://any.example"),
        await client.get("/collect", headers={"origin": "https://any.example"}),
        await client.send_events(b"x" * (MAX_COMPRESSED_BYTES + 1), origin="https://any.example"),
    ]
    assert [answer.status_code for answer in answers] == [202, 400, 405, 413]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://any.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["vary"] == "origin"
        assert "retry-after" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/nowhere", "/tracker.js"])
async def test_what_takes_no_events_is_for_any_page_without_credentials(
    client: Client, path: str
) -> None:
    answer = await client.get(path, headers={"origin": "https://any.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics"])
async def test_no_page_reads_what_is_the_operators(client: Client, path: str) -> None:
    answer = await client.get(path, headers={"origin": "https://any.example"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_only_listed_pages_may_send() -> None:
    async with running(cors_origins=("https://shop.example", "https://b.example/")) as listed:
        allowed = await listed.send_events(GOOD, origin="https://b.example", user_agent=AGENT)
        assert allowed.status_code == 202
        assert allowed.headers["access-control-allow-origin"] == "https://b.example"
        assert allowed.headers["vary"] == "origin"
        for origin in ("https://evil.example", "null", "https://shop.example.evil.example"):
            refused = await listed.send_events(GOOD, origin=origin)
            assert error_of(refused) == (403, "foreign_origin")
            assert "access-control-allow-origin" not in refused.headers
            assert refused.headers["vary"] == "origin"
        assert (await listed.send_events(GOOD)).status_code == 202
        assert len(listed.sink.events) == 2


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, x-write-key",
    }


@pytest.mark.parametrize("path", ["/collect", "/cloudevents", "/in", "/v1/batch", "/api/send"])
async def test_preflights_are_answered_so_that_pages_may_send_with_credentials(path: str) -> None:
    async with running(tracker_paths=("/in", "/in.js")) as client:
        answer = await client.options(path, headers=preflight("https://any.example"))
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://any.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "content-type, x-write-key"
        assert answer.headers["access-control-allow-credentials"] == "true"
        script = await client.options("/in.js", headers=preflight("https://any.example"))
        assert script.headers["access-control-allow-origin"] == "*"


async def test_a_foreign_preflight_is_refused() -> None:
    async with running(cors_origins=("https://shop.example",)) as listed:
        assert (
            await listed.options("/collect", headers=preflight("https://shop.example"))
        ).headers["access-control-allow-origin"] == "https://shop.example"
        refused = await listed.options("/collect", headers=preflight("https://evil.example"))
        assert error_of(refused) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in refused.headers


async def test_a_key_made_for_a_page_is_refused_elsewhere(client: Client) -> None:
    assert (
        await client.send_events(GOOD, x_write_key="ak_w_page", origin="https://page.example")
    ).status_code == 202
    assert (await client.send_events(GOOD, x_write_key="ak_w_page")).status_code == 202
    assert error_of(
        await client.send_events(GOOD, x_write_key="ak_w_page", origin="https://evil.example")
    ) == (403, "foreign_origin")
