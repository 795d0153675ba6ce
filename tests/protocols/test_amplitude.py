"""Amplitude: events, and replies after which its libraries drop what they cannot mend."""

from typing import Any

import pytest

from analytics.errors import Unavailable
from analytics.events import event_id
from analytics.protocols import amplitude
from tests.collecting import Client
from tests.protocols.captured import UNIVERSAL, collector, columns_of, metadata, replay

EVENT = {
    "event_type": "Button Clicked",
    "user_id": "user1",
    "time": 1577836800000,
    "insert_id": "i-1",
}


async def one(client: Client, **fields: Any) -> Any:
    answer = await client.send_events(
        {"api_key": "AK", "events": [{**EVENT, **fields}]}, "/2/httpapi"
    )
    assert answer.status_code == 200, answer.text
    return client.sink.events[-1]


@pytest.mark.parametrize(
    ("name", "library"),
    [("amplitude-1", "amplitude-python"), ("js-amplitude-1", "amplitude-node-ts")],
)
async def test_what_was_captured_lands_in_the_keys_project(name: str, library: str) -> None:
    async with collector("AK", require_write_key=True) as client:
        answer = await replay(client, name)
        assert answer.status_code == 200
        assert (UNIVERSAL | {"events_ingested": 1}).items() <= answer.json().items()
        assert {"payload_size_bytes", "server_upload_time"} <= answer.json().keys()
        [event] = client.sink.events
        assert (event.project, columns_of(event), event.named) == (
            "shop",
            ("track", "Button Clicked", "user1", "$none"),
            True,
        )
        assert (metadata(event)["a"], metadata(event)["$lib"]) == (1, library)


EVENTS: dict[str, tuple[dict[str, Any], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "a device": (
        {"user_id": None, "device_id": "d1"},
        ("track", "Button Clicked", "d1", "$none"),
        {},
    ),
    "a session of a device": (
        {"device_id": "d1", "session_id": 1577836800000},
        ("track", "Button Clicked", "user1", "d1:1577836800000"),
        {"$anonymous_id": "d1"},
    ),
    "no session": ({"session_id": -1}, ("track", "Button Clicked", "user1", "$none"), {}),
    "no session, as text": (
        {"session_id": "-1"},
        ("track", "Button Clicked", "user1", "$none"),
        {},
    ),
    "identify": (
        {"event_type": "$identify", "user_properties": {"$set": {"plan": "pro"}}},
        ("identify", "identify", "user1", "$none"),
        {"$set": {"plan": "pro"}},
    ),
    "a group": (
        {
            "event_type": "$groupidentify",
            "groups": {"org": "o1"},
            "group_properties": {"$set": {"a": 1}},
        },
        ("group", "group", "user1", "$none"),
        {"$groups": {"org": "o1"}, "$group_properties": {"$set": {"a": 1}}},
    ),
    "a page view": (
        {
            "event_type": "[Amplitude] Page Viewed",
            "event_properties": {"[Amplitude] Page URL": "https://x.com/a", "b": 2},
        },
        ("page", "view", "user1", "$none"),
        {"$url": "https://x.com/a", "$host": "x.com", "$path": "/a", "b": 2},
    ),
    "other fields": (
        {
            "event_properties": {"a": 1},
            "user_properties": {"b": 2},
            "platform": "Web",
            "os_name": "iOS",
            "ip": "$remote",
            "plan": {"branch": "x"},
        },
        ("track", "Button Clicked", "user1", "$none"),
        {
            "a": 1,
            "$user_properties": {"b": 2},
            "$platform": "Web",
            "$os": "iOS",
            "$plan": {"branch": "x"},
        },
    ),
}


@pytest.mark.parametrize(("fields", "columns", "extra"), EVENTS.values(), ids=EVENTS)
async def test_each_event_has_its_columns_and_metadata(
    fields: dict[str, Any], columns: tuple[str, str, str | None, str], extra: dict[str, Any]
) -> None:
    async with collector() as client:
        event = await one(client, **fields)
        assert columns_of(event) == columns
        assert metadata(event) == {"$id": "i-1", **extra}
        assert event.timestamp.isoformat() == "2020-01-01T00:00:00+00:00"


async def test_the_path_batch_is_amplitudes_when_the_body_has_events() -> None:
    async with collector("AK", require_write_key=True) as client:
        assert (await client.send_events({"api_key": "AK", "events": [EVENT]}, "/batch")).json()[
            "events_ingested"
        ] == 1
        assert (
            await client.send_events(
                {"api_key": "AK", "batch": [{"event": "e", "distinct_id": "d"}]}, "/batch"
            )
        ).json() == UNIVERSAL
        assert [event.event_action for event in client.sink.events] == ["Button Clicked", "e"]


async def test_one_insert_id_is_one_event_only_on_one_device() -> None:
    async with collector() as client:
        senders = (
            {"device_id": "d1"},
            {"device_id": "d2"},
            {"device_id": "d1", "user_id": "somebody else"},
            {"device_id": ""},
            {"device_id": None},
            {"device_id": None, "user_id": "u2"},
            {"device_id": False, "user_id": "u2"},
        )
        ids = [(await one(client, **sender)).id for sender in senders]
        assert (ids[0], ids[3], ids[5]) == (ids[2], ids[4], ids[6])
        assert len(set(ids)) == 4
        assert ids == [(await one(client, **sender, time=1577836801000)).id for sender in senders]
        assert {event.former for event in client.sink.events} == {event_id("i-1")}
        named = await one(client, insert_id=str(ids[0]))
        assert (named.id != ids[0], metadata(named)["$id"]) == (True, str(ids[0]))
        assert (await one(client, insert_id=None)).former is None


async def test_the_upload_time_corrects_a_skewed_clock() -> None:
    async with collector() as client:
        await client.send_events(
            {"api_key": "AK", "events": [EVENT], "client_upload_time": "2020-01-01T00:00:05.000Z"},
            "/2/httpapi",
        )
        [event] = client.sink.events
        assert abs((event.created_at - event.timestamp).total_seconds() - 5) < 1
        assert metadata(event)["$timestamp"] == 1577836800000


async def test_events_without_one_that_is_valid_are_named_by_field_so_that_none_is_sent_again() -> (
    None
):
    async with collector() as client:
        answer = await client.send_events(
            {"api_key": "AK", "events": [{**EVENT, "time": "x"}, {"user_id": "u"}, 5]}, "/2/httpapi"
        )
        assert answer.status_code == 400
        assert answer.json()["events_with_invalid_fields"] == {
            "timestamp": [0],
            "event_action": [1],
            "event": [2],
        }


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"api_key":"AK","events":[]}'])
async def test_a_request_that_cannot_be_read_misses_a_field_so_that_it_is_dropped(
    body: bytes,
) -> None:
    async with collector() as client:
        answer = await client.send_events(body, "/2/httpapi")
        assert (answer.status_code, bool(answer.json()["missing_field"])) == (400, True)


async def test_an_unknown_key_is_an_invalid_one_in_amplitudes_words_and_a_full_queue_is_503() -> (
    None
):
    async with collector("AK", require_write_key=True) as client:
        answer = await client.send_events({"api_key": "other", "events": [EVENT]}, "/2/httpapi")
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            "Invalid API key: this key is unknown",
        )
        client.sink.refusal = Unavailable("full")
        assert (await replay(client, "amplitude-1")).status_code == 503


def test_an_address_that_the_server_should_put_is_none() -> None:
    assert "$ip" not in amplitude.translate({"event_type": "e", "ip": "$remote"}).context
    assert amplitude.translate({"event_type": "e", "ip": "192.0.2.9"}).context["$ip"] == "192.0.2.9"
