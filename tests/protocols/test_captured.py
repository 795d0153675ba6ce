"""Captured requests through the real pipeline: what is stored of a visitor, and what is not."""

import json
import re

import pytest

from analytics.errors import Unavailable
from analytics.roles.collector.limits import Limits
from tests.protocols.captured import CAPTURED, collector, metadata, replay

PAGES = [name for name in CAPTURED if name.startswith("page-")]
SERVERS = [name for name in CAPTURED if not name.startswith("page-")]
TOKENS = ("WK", "G-WK:secret", "TOK", "AK", "phc_key", "1")


def test_every_protocol_with_libraries_was_captured() -> None:
    captured = " ".join(CAPTURED)
    protocols = (
        "segment",
        "posthog-v0",
        "posthog-v1",
        "amplitude",
        "mixpanel",
        "plausible",
        "umami",
        "snowplow",
        "ga4",
        "matomo",
        "cloudevents",
        "rudder",
        "jitsu",
    )
    assert [protocol for protocol in protocols if protocol not in captured] == []


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_tells_of_its_visitors_browser_and_keeps_what_it_said(name: str) -> None:
    async with collector(*TOKENS, require_write_key=True) as client:
        assert (await replay(client, name)).status_code in (200, 202)
        for event in client.sink.events:
            assert (event.project, event.event_action) == ("shop", "sdk_test")
            stored = metadata(event)
            assert (stored["$browser"], stored["$os"]) == ("Chrome", "Linux")
            assert stored["$language"] == "en-US"
            assert str(stored["n"]).isdecimal()
            assert stored["plan"] == "pro"
            assert "$ip" not in stored
        assert client.sink.events


@pytest.mark.parametrize("name", ["page-plausible-1", "page-plausible-2"])
async def test_a_page_that_names_nobody_has_the_visitor_of_the_day(name: str) -> None:
    async with collector(*TOKENS) as client:
        await replay(client, name)
        await replay(client, name)
        await replay(
            client, name, user_agent="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Firefox/140.0"
        )
        first, again, other = (event.session_id for event in client.sink.events)
        assert first == again != other
        assert re.fullmatch("[$][0-9a-f]{32}", first)


@pytest.mark.parametrize("header", ["dnt", "sec_gpc"])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_whose_visitor_asks_not_to_be_tracked_hears_of_success_and_nothing_is_kept(
    name: str, header: str
) -> None:
    async with collector(*TOKENS) as client:
        answer = await replay(client, name, **{header: "1"})
        assert answer.status_code in (200, 202)
        assert "dropped: drop_opted_out" in answer.headers["x-analytics"]
        assert client.sink.events == []


@pytest.mark.parametrize("name", SERVERS)
async def test_a_servers_headers_say_nothing_of_a_visitor(name: str) -> None:
    async with collector(*TOKENS) as client:
        assert (await replay(client, name, dnt="1")).status_code in (200, 202, 204)
        for event in client.sink.events:
            assert not {"$browser", "$device", "$ip"} & metadata(event).keys()
        assert client.sink.events


@pytest.mark.parametrize("name", CAPTURED)
async def test_no_key_is_stored(name: str) -> None:
    """Except a site's name, where that is its key."""
    async with collector(*TOKENS) as client:
        await replay(client, name)
        for event in client.sink.events:
            stored = {
                key: value
                for key, value in metadata(event).items()
                if key not in ("$domain", "$app_id")
            }
            assert not {"WK", "phc_key", "TOK", "AK", "secret"} & set(json.dumps(stored).split('"'))
        assert client.sink.events


@pytest.mark.parametrize("name", CAPTURED)
async def test_who_sends_too_fast_is_told_to_keep_it(name: str) -> None:
    async with collector(*TOKENS) as client:
        client.intake.limits = Limits(1, now=lambda: 0.0)
        await replay(client, name)
        taken = len(client.sink.events)
        answer = await replay(client, name)
        assert answer.status_code == (503 if name == "posthog-v1-1" else 429)
        assert answer.headers["retry-after"] == "1"
        assert len(client.sink.events) == taken


@pytest.mark.parametrize("name", CAPTURED)
async def test_a_queue_out_of_reach_is_told_to_every_library_as_503(name: str) -> None:
    async with collector(*TOKENS) as client:
        client.sink.refusal = Unavailable("full", retry_after=7)
        answer = await replay(client, name)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, request in CAPTURED.items()
        if request["body"] and "ce-id" not in request["headers"]
    ],
)
async def test_what_nobody_can_read_is_told_to_every_library_as_never_to_be_sent_again(
    name: str,
) -> None:
    request = CAPTURED[name]
    async with collector(*TOKENS, require_write_key=True) as client:
        answer = await client.request(
            request["method"], request["path"], content=b"\xff{", headers=request["headers"]
        )
        assert answer.status_code in (400, 401)
        assert client.sink.events == []
