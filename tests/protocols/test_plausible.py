"""Plausible: long names and short ones."""

from typing import Any

import pytest

from analytics.errors import Unavailable
from tests.protocols.captured import collector, columns_of, metadata

EVENT = {
    "name": "signup",
    "url": "https://x.com/a",
    "domain": "x.com",
    "referrer": "https://y.com",
    "props": {"plan": "pro"},
}
SHORT = {
    "n": "signup",
    "u": "https://x.com/a",
    "d": "x.com",
    "r": "https://y.com",
    "p": '{"plan":"pro"}',
}


@pytest.mark.parametrize("body", [EVENT, SHORT])
async def test_an_event_lands_in_the_domains_project(body: dict[str, Any]) -> None:
    async with collector("x.com", require_write_key=True) as client:
        answer = await client.send_events(body, "/api/event", content_type="text/plain")
        assert (answer.status_code, answer.text) == (202, "ok")
        [event] = client.sink.events
        assert (event.project, columns_of(event), event.named) == (
            "shop",
            ("track", "signup", None, "$nobody"),
            False,
        )
        page = {"$url": "https://x.com/a", "$host": "x.com", "$path": "/a"}
        source = {
            "$referrer": "https://y.com",
            "$referrer_domain": "y.com",
            "$referrer_source": "y.com",
        }
        assert metadata(event) == {"plan": "pro", "$domain": "x.com", **page, **source}


EVENTS: dict[str, tuple[dict[str, Any], tuple[str, str], dict[str, Any]]] = {
    "a page view": ({"n": "pageview", "w": 1280}, ("page", "view"), {"$screen": 1280}),
    "revenue": (
        {"n": "buy", "$": {"amount": 9.5, "currency": "EUR"}},
        ("track", "buy"),
        {"$revenue": {"amount": 9.5, "currency": "EUR"}},
    ),
    "properties that are no JSON": ({"n": "e", "p": "{"}, ("track", "e"), {"$properties": "{"}),
    "time on a page": (
        {"n": "engagement", "sd": 80, "e": 3000, "i": False},
        ("track", "engagement"),
        {"$scroll_depth": 80, "$engagement_time": 3000, "$interactive": False},
    ),
}


@pytest.mark.parametrize(("body", "columns", "extra"), EVENTS.values(), ids=EVENTS)
async def test_each_event_has_its_columns_and_metadata(
    body: dict[str, Any], columns: tuple[str, str], extra: dict[str, Any]
) -> None:
    async with collector() as client:
        assert (await client.send_events(body, "/api/event")).status_code == 202
        [event] = client.sink.events
        assert (columns_of(event)[:2], metadata(event)) == (columns, extra)


async def test_what_is_wrong_is_named_and_a_full_queue_is_503() -> None:
    async with collector("x.com", "y.com", require_write_key=True) as client:
        answer = await client.send_events({"d": "y.com,x.com"}, "/api/event")
        assert (answer.status_code, answer.json()["errors"]) == (
            400,
            {"event_action": ["event_action is missing"]},
        )
        assert (await client.send_events({"n": "e"}, "/api/event")).status_code == 401
        assert (await client.send_events([], "/api/event")).status_code == 400
        client.sink.refusal = Unavailable("full")
        assert (await client.send_events(EVENT, "/api/event")).status_code == 503


async def test_props_in_json_keep_all_but_their_bad_characters() -> None:
    async with collector() as client:
        body = {"n": "n", "u": "/", "d": "x", "p": '{"a":"caf\ud83d","b":"\\u0000","a\\ud83d":1}'}
        answer = await client.send_events(body, "/api/event")
        assert answer.headers["x-analytics"] == "1 mended: bad_character"
        given = {"a": "caf\ufffd", "b": "\ufffd", "a\ufffd": 1}
        assert given.items() <= metadata(client.sink.events[0]).items()
