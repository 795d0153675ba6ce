"""Segment and RudderStack: what their libraries send, what we store, and what we reply."""

import json
import re
from typing import Any
from uuid import UUID

import pytest

from analytics.errors import Unavailable
from analytics.events import event_id
from tests.collecting import Client
from tests.protocols.captured import UNIVERSAL, collector, columns_of, metadata, replay

CALL = {
    "type": "track",
    "event": "Order",
    "userId": "u1",
    "messageId": "m-1",
    "timestamp": "2026-11-23T14:35:19.981+00:00",
}


async def one(client: Client, path: str = "/v1/track", **fields: Any) -> Any:
    """The event that one call becomes."""
    answer = await client.send_events({**CALL, **fields}, path)
    assert answer.status_code == 200, answer.text
    return client.sink.events[-1]


@pytest.mark.parametrize(
    "name", ["segment-1", "segment-2", "segment-gzip-1", "rudder-1", "js-segment-1", "js-rudder-1"]
)
async def test_what_was_captured_lands_in_the_keys_project(name: str) -> None:
    async with collector("WK", require_write_key=True) as client:
        answer = await replay(client, name)
        assert (answer.status_code, answer.json()) == (200, UNIVERSAL)
        [event] = client.sink.events
        assert (event.project, event.user_id, event.session_id, event.named) == (
            "shop",
            "u1",
            "$none",
            True,
        )


async def test_a_track_call_keeps_its_name_properties_and_library() -> None:
    async with collector() as client:
        await replay(client, "segment-1")
        [event] = client.sink.events
        assert columns_of(event) == ("track", "Order Completed", "u1", "$none")
        assert event.id == UUID("e4eb7664-5e20-47d7-8ec8-5c01f6ad9440")
        properties = metadata(event)
        assert properties.pop("$timestamp") == "2026-11-23T14:35:19.981+00:00"
        assert properties == {"total": 9.5, "$lib": "analytics-python", "$lib_version": "2.4.0"}


async def test_identify_becomes_an_event_with_its_traits() -> None:
    async with collector() as client:
        await replay(client, "segment-2")
        [event] = client.sink.events
        assert columns_of(event) == ("identify", "identify", "u1", "$none")
        assert metadata(event)["email"] == "a@b.c"


async def test_an_id_that_is_no_uuid_is_mapped_and_kept() -> None:
    async with collector() as client:
        event = await one(client)
        assert event.id == event_id("m-1")
        assert metadata(event)["$id"] == "m-1"


CALLS: dict[str, tuple[dict[str, Any], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "anonymous": ({"userId": None, "anonymousId": "a1"}, ("track", "Order", "a1", "$none"), {}),
    "both": ({"anonymousId": "a1"}, ("track", "Order", "u1", "$none"), {"$anonymous_id": "a1"}),
    "a number as user": ({"userId": 7}, ("track", "Order", "7", "$none"), {}),
    "nobody": ({"userId": None}, ("track", "Order", None, "$nobody"), {}),
    "a page without name": ({"type": "page"}, ("page", "view", "u1", "$none"), {}),
    "a page with a name": (
        {"type": "page", "name": "Home", "category": "Docs"},
        ("page", "Home", "u1", "$none"),
        {"$category": "Docs"},
    ),
    "a screen": ({"type": "screen", "name": "Menu"}, ("screen", "Menu", "u1", "$none"), {}),
    "a group": (
        {"type": "group", "groupId": "g", "traits": {"plan": "pro"}},
        ("group", "group", "u1", "$none"),
        {"$group_id": "g", "plan": "pro"},
    ),
    "an alias": (
        {"type": "alias", "previousId": "a1"},
        ("alias", "alias", "u1", "$none"),
        {"$previous_id": "a1"},
    ),
    "a session": ({"context": {"sessionId": "s-9"}}, ("track", "Order", "u1", "s-9"), {}),
    "a session that is a number": (
        {"anonymousId": "a", "context": {"sessionId": 5}},
        ("track", "Order", "u1", "a:5"),
        {"$anonymous_id": "a"},
    ),
    "a property with a name of ours": (
        {"properties": {"$title": "x"}, "context": {"page": {"title": "y"}}},
        ("track", "Order", "u1", "$none"),
        {"$title": "y", "$properties": {"$title": "x"}},
    ),
    "an address, which is not kept": (
        {"properties": {"$ip": "x"}, "context": {"ip": "192.0.2.9"}},
        ("track", "Order", "u1", "$none"),
        {},
    ),
    "properties that are no object": (
        {"properties": [1]},
        ("track", "Order", "u1", "$none"),
        {"$properties": [1]},
    ),
    "other fields": (
        {"integrations": {"All": True}, "_metadata": {"n": 1}},
        ("track", "Order", "u1", "$none"),
        {"$integrations": {"All": True}, "$_metadata": {"n": 1}},
    ),
}


@pytest.mark.parametrize(("fields", "columns", "extra"), CALLS.values(), ids=CALLS)
async def test_each_call_has_its_columns_and_metadata(
    fields: dict[str, Any], columns: tuple[str, str, str | None, str], extra: dict[str, Any]
) -> None:
    async with collector() as client:
        event = await one(
            client,
            **(fields if fields.get("type", "track") == "track" else {"event": None, **fields}),
        )
        assert columns_of(event) == columns
        assert {
            name: value
            for name, value in metadata(event).items()
            if name not in ("$timestamp", "$id")
        } == extra


async def test_context_has_one_name_for_all_protocols_and_loses_nothing() -> None:
    context = {
        "page": {
            "url": "https://x.com/a?b",
            "path": "/a",
            "referrer": "https://y",
            "title": "A",
            "search": "?b",
            "tab": 2,
        },
        "campaign": {"name": "spring", "source": "mail"},
        "library": {"name": "a.js", "version": "2", "flavour": "min"},
        "userAgent": "UA",
        "locale": "en",
        "ip": "192.0.2.9",
        "timezone": "Europe/Berlin",
        "screen": {"width": 3},
        "custom": [1],
    }
    async with collector(store_ip="full") as client:
        properties = metadata(await one(client, context=context))
        del properties["$id"]
        properties.pop("$timestamp", None)
        assert properties == {
            "$url": "https://x.com/a?b",
            "$path": "/a",
            "$referrer": "https://y",
            "$title": "A",
            "$search": "?b",
            "$user_agent": "UA",
            "$language": "en",
            "$host": "x.com",
            "$referrer_domain": "y",
            "$referrer_source": "y",
            "$ip": "192.0.2.9",
            "$timezone": "Europe/Berlin",
            "$lib": "a.js",
            "$lib_version": "2",
            "$utm_campaign": "spring",
            "$utm_source": "mail",
            "$context": {
                "page": {"tab": 2},
                "library": {"flavour": "min"},
                "screen": {"width": 3},
                "custom": [1],
            },
        }


async def test_a_session_too_long_for_its_column_or_named_like_none_is_hashed_and_kept() -> None:
    async with collector() as client:
        for session in ("s" * 65, "$none", "$5"):
            event = await one(client, context={"sessionId": session})
            assert re.fullmatch("[0-9a-f]{64}", event.session_id)
            assert metadata(event)["$session_id"] == session
            assert (
                await one(client, context={"sessionId": session})
            ).session_id == event.session_id
        assert (await one(client, userId="u" * 200)).session_id == "$none"


@pytest.mark.parametrize(
    "path", ["/v1/track", "/v1/t", "/v1/batch", "/v1/b", "/v1/import", "/api/s/track"]
)
async def test_calls_arrive_by_every_path(path: str) -> None:
    async with collector() as client:
        assert columns_of(await one(client, path))[0] == "track"


async def test_the_path_names_the_type_of_a_call_that_does_not() -> None:
    async with collector() as client:
        assert (
            await client.send_events({"userId": "u"}, "/v1/p", content_type="text/plain")
        ).status_code == 200
        assert columns_of(client.sink.events[-1]) == ("page", "view", "u", "$none")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"writeKey": "WK"}, {}),
        ({}, {"authorization": "Basic V0s6"}),
        ({}, {"x_write_key": "WK"}),
    ],
)
async def test_the_key_is_found_wherever_a_library_puts_it(
    body: dict[str, Any], headers: dict[str, str]
) -> None:
    async with collector("WK", require_write_key=True) as client:
        assert (
            await client.send_events({"batch": [CALL], **body}, "/v1/batch", **headers)
        ).status_code == 200
        assert client.sink.events[0].project == "shop"
        assert "WK" not in client.sink.events[0].metadata.decode()


async def test_a_token_that_nobody_registered_goes_to_default_unless_keys_are_required() -> None:
    async with collector() as client:
        assert (await replay(client, "segment-1")).status_code == 200
        assert client.sink.events[0].project == "default"
        for token in ("ak_w_old", "ak_w_unheard-of"):
            assert (
                await client.send_events({"batch": [CALL], "writeKey": token}, "/v1/batch")
            ).status_code == 401
    async with collector(require_write_key=True) as client:
        answer = await replay(client, "segment-1")
        assert answer.status_code == 401
        assert (answer.json()["success"], answer.json()["code"], answer.headers["x-analytics"]) == (
            False,
            401,
            "unauthorized",
        )
        assert client.sink.events == []


async def test_a_token_that_cannot_be_looked_up_is_503_so_that_the_library_keeps_its_events() -> (
    None
):
    async with collector() as client:
        client.table.down = True
        assert (await replay(client, "segment-1")).status_code == 503


async def test_a_full_queue_is_503_with_the_universal_failure() -> None:
    async with collector() as client:
        client.sink.refusal = Unavailable("full", retry_after=7)
        answer = await replay(client, "segment-1")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        assert answer.json() == {
            "success": False,
            "status": 0,
            "code": 503,
            "error": "full",
            "message": "full",
        }


async def test_valid_events_go_on_and_the_others_are_named() -> None:
    async with collector() as client:
        answer = await client.send_events(
            {"batch": [CALL, {**CALL, "event": "x" * 256}, 5, {**CALL, "timestamp": "soon"}]},
            "/v1/batch",
        )
        assert (answer.status_code, len(client.sink.events)) == (200, 1)
        assert [
            (rejection["index"], rejection["code"]) for rejection in answer.json()["rejected"]
        ] == [
            (1, "too_long"),
            (2, "wrong_type"),
            (3, "bad_timestamp"),
        ]
        assert answer.headers["x-analytics"] == "3 rejected; the first: too_long event_action"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"batch":[]}', b'{"batch":5}', b'{"batch":[{"type":"track"}]}']
)
async def test_what_cannot_be_used_is_400_so_that_the_library_drops_it(body: bytes) -> None:
    async with collector() as client:
        answer = await client.send_events(body, "/v1/batch")
        assert answer.status_code == 400
        assert answer.json()["code"] == 400
        assert answer.headers["x-analytics"]


async def test_a_skewed_clock_is_corrected_and_a_retry_is_the_same_event() -> None:
    async with collector() as client:
        times: list[Any] = ["2020-01-01T00:00:05Z", "2020-01-01T01:00:00Z", "nonsense", {}]
        for sent_at in times:
            event = await one(client, timestamp="2020-01-01T00:00:00", sentAt=sent_at)
            assert event.id == event_id("m-1")
        skewed, retried, plain, _ = client.sink.events
        assert abs((skewed.created_at - skewed.timestamp).total_seconds() - 5) < 1
        assert abs((retried.created_at - retried.timestamp).total_seconds() - 3600) < 1
        assert plain.timestamp.isoformat() == "2020-01-01T00:00:00+00:00"


async def test_a_call_that_another_collector_received_before_keeps_its_time() -> None:
    async with collector() as client:
        event = await one(
            client,
            timestamp="2020-01-01T00:00:01Z",
            originalTimestamp="2020-01-01T00:00:00Z",
            sentAt="2020-01-01T00:00:05Z",
            receivedAt="2020-01-01T00:00:06Z",
        )
        assert event.timestamp.isoformat() == "2020-01-01T00:00:01+00:00"


async def test_pages_may_send_with_credentials() -> None:
    async with collector() as client:
        origin = {"origin": "https://any.example"}
        for answer in (
            await client.post("/v1/t", content=json.dumps(CALL), headers=origin),
            await client.options(
                "/v1/t",
                headers={
                    **origin,
                    "access-control-request-method": "POST",
                    "access-control-request-headers": "x-odd",
                },
            ),
        ):
            assert answer.headers["access-control-allow-origin"] == "https://any.example"
            assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-headers"] == "x-odd"


async def test_the_browsers_settings_are_there_for_every_key() -> None:
    async with collector() as client:
        answer = await client.get("/v1/projects/WK/settings")
        assert (answer.status_code, answer.json()) == (
            200,
            {"integrations": {"Segment.io": {"apiKey": "WK"}}},
        ), "the key that it will send"


async def test_a_calls_own_context_stands_before_that_of_its_batch() -> None:
    async with collector() as client:
        own = {**CALL, "context": {"locale": "de"}}
        batch = {"batch": [own, CALL], "context": {"locale": "en", "timezone": "UTC"}}
        assert (await client.send_events(batch, "/v1/batch")).status_code == 200
        known = [metadata(event) for event in client.sink.events]
        assert [(each["$language"], each["$timezone"]) for each in known] == [
            ("de", "UTC"),
            ("en", "UTC"),
        ]
