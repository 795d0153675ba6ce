"""Umami: page views, events and users."""

from typing import Any

import pytest

from tests.protocols.captured import collector, columns_of, metadata, replay

SITE = "978435e2-7ba1-4337-9860-ec31ece2db60"


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("umami-1", ("track", "signup")),
        ("umami-2", ("page", "view")),
        ("js-umami-1", ("track", "signup")),
    ],
)
async def test_what_was_captured_lands_in_the_websites_project(
    name: str, columns: tuple[str, str]
) -> None:
    async with collector(SITE, require_write_key=True) as client:
        answer = await replay(client, name)
        assert answer.status_code == 200
        assert {"cache", "sessionId", "visitId"} == answer.json().keys()
        [event] = client.sink.events
        assert (event.project, columns_of(event)) == ("shop", (*columns, None, "$nobody"))
        assert metadata(event)["$url"] == "/a"


async def test_an_event_keeps_its_data_and_context() -> None:
    async with collector() as client:
        await replay(client, "umami-1")
        expected = {
            "plan": "pro",
            "$host": "x.com",
            "$hostname": "x.com",
            "$language": "en-US",
            "$path": "/a",
            "$screen": "1920x1080",
            "$title": "T",
            "$url": "/a",
        }
        assert metadata(client.sink.events[0]) == expected


async def test_a_relative_url_is_a_page_of_the_host_and_the_site_is_no_referrer() -> None:
    payload = {
        "website": SITE,
        "hostname": "shop.example",
        "url": "/a?utm_source=x&gclid=G",
        "referrer": "https://shop.example/b",
    }
    async with collector() as client:
        await client.send_events({"type": "event", "payload": payload}, "/api/send")
        known = metadata(client.sink.events[0])
    page = {"$host": "shop.example", "$path": "/a", "$utm_source": "x", "$gclid": "G"}
    assert page.items() <= known.items()
    assert known["$url"] == payload["url"]
    assert not {"$referrer_domain", "$referrer_source"} & known.keys()


MESSAGES: dict[str, tuple[dict[str, Any], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "identify": (
        {"type": "identify", "payload": {"id": "u1", "data": {"a": 1}}},
        ("identify", "identify", "u1", "$none"),
        {"a": 1},
    ),
    "performance": (
        {"type": "performance", "payload": {"lcp": 3}},
        ("track", "performance", None, "$nobody"),
        {"$lcp": 3},
    ),
    "a time": (
        {"type": "event", "payload": {"id": 7, "timestamp": 1577836800, "tag": "b"}},
        ("page", "view", "7", "$none"),
        {"$tag": "b"},
    ),
}


@pytest.mark.parametrize(("message", "columns", "extra"), MESSAGES.values(), ids=MESSAGES)
async def test_each_message_has_its_columns_and_metadata(
    message: dict[str, Any], columns: tuple[str, str, str | None, str], extra: dict[str, Any]
) -> None:
    async with collector() as client:
        assert (await client.send_events(message, "/api/send")).status_code == 200
        [event] = client.sink.events
        assert (columns_of(event), metadata(event)) == (columns, extra)
        assert event.timestamp.year == 2020 or "timestamp" not in message["payload"]


async def test_a_list_says_how_many_of_each_website() -> None:
    async with collector(SITE) as client:
        messages = [
            {"type": "event", "payload": {"website": site}}
            for site in (None, SITE, "ak_w_old", "another")
        ]
        answer = await client.send_events(messages, "/api/batch")
        assert {"size": 4, "processed": 3, "errors": 1}.items() <= answer.json().items()
        assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [
            (2, "unauthorized")
        ]
        assert [event.project for event in client.sink.events] == ["default", "shop", "default"]
        assert (await client.send_events({"type": {}}, "/api/send")).status_code == 400
