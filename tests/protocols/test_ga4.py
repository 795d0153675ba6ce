"""GA4: the Measurement Protocol."""

from typing import Any

import pytest

from tests.protocols.captured import collector, columns_of, metadata

PATH = "/mp/collect?measurement_id=G-1&api_secret=sec"
BODY = {
    "client_id": "1.2",
    "timestamp_micros": "1577836800000000",
    "events": [{"name": "login", "params": {"session_id": "1", "method": "mail"}}],
}

EVENTS: dict[str, tuple[dict[str, Any], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "an event": (BODY, ("track", "login", "1.2", "1.2:1"), {"method": "mail"}),
    "an event whose own time is null": (
        {**BODY, "events": [{"name": "login", "timestamp_micros": None}]},
        ("track", "login", "1.2", "$none"),
        {},
    ),
    "a user": (
        {**BODY, "user_id": "u1"},
        ("track", "login", "u1", "1.2:1"),
        {"method": "mail", "$anonymous_id": "1.2"},
    ),
    "a page view": (
        {
            **BODY,
            "events": [{"name": "page_view", "params": {"page_location": "https://x.com/a"}}],
            "user_properties": {"p": {"value": 1}},
        },
        ("page", "view", "1.2", "$none"),
        {
            "$url": "https://x.com/a",
            "$host": "x.com",
            "$path": "/a",
            "$user_properties": {"p": {"value": 1}},
        },
    ),
}


@pytest.mark.parametrize(("body", "columns", "extra"), EVENTS.values(), ids=EVENTS)
async def test_each_event_has_its_columns_and_metadata(
    body: dict[str, Any], columns: tuple[str, str, str | None, str], extra: dict[str, Any]
) -> None:
    async with collector("G-1:sec", require_write_key=True) as client:
        answer = await client.send_events(body, PATH)
        assert (answer.status_code, answer.content, "content-length" in answer.headers) == (
            204,
            b"",
            False,
        )
        [event] = client.sink.events
        assert (event.project, columns_of(event), metadata(event)) == ("shop", columns, extra)
        assert event.timestamp.isoformat() == "2020-01-01T00:00:00+00:00"


async def test_the_secret_belongs_to_the_key() -> None:
    async with collector("G-1:sec", require_write_key=True) as client:
        assert (
            await client.send_events(BODY, "/mp/collect?measurement_id=G-1&api_secret=guess")
        ).status_code == 401
        assert (await client.send_events(BODY, "/mp/collect")).status_code == 401
        assert (await client.send_events({"client_id": "1"}, PATH)).status_code == 400


@pytest.mark.parametrize(("session", "numbered"), [("1700000000", True), ("9" * 5_000, False)])
async def test_a_session_is_a_number_unless_it_is_far_too_long(
    session: str, numbered: bool
) -> None:
    async with collector() as client:
        event = {"name": "login", "params": {"session_id": session}}
        assert (await client.send_events({**BODY, "events": [event]}, PATH)).status_code == 204
        assert (client.sink.events[0].session_id == f"1.2:{session}") is numbered
