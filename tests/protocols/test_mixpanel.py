"""Mixpanel: events, profiles, groups and imports, in all their wrappings."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest

from analytics.events import event_id
from analytics.protocols.ids import joint_id
from tests.collecting import Client
from tests.protocols.captured import UNIVERSAL, collector, columns_of, metadata, replay

PROPERTIES = {
    "token": "TOK",
    "distinct_id": "u1",
    "time": 1577836800.5,
    "$insert_id": "17ee",
    "plan": "pro",
}


async def one(client: Client, message: dict[str, Any], path: str = "/track") -> Any:
    answer = await client.post(path, data={"data": json.dumps(message), "verbose": "1"})
    assert (answer.status_code, answer.json()) == (200, UNIVERSAL)
    return client.sink.events[-1]


CAPTURES = {
    "mixpanel-1": (("track", "Signed Up", "u1", "$none"), True, UNIVERSAL),
    "mixpanel-2": (("identify", "set", "u1", "$none"), False, UNIVERSAL),
    "js-mixpanel-1": (("track", "Signed Up", "u1", "$none"), False, 1),
    "js-mixpanel-2": (("track", "A", "u1", "$none"), False, 1),
}


@pytest.mark.parametrize(
    ("name", "columns", "named", "reply"),
    [(name, *rest) for name, rest in CAPTURES.items()],
    ids=CAPTURES,
)
async def test_what_was_captured_lands_in_the_keys_project(
    name: str, columns: tuple[str, str, str, str], named: bool, reply: Any
) -> None:
    async with collector("TOK", require_write_key=True) as client:
        answer = await replay(client, name)
        assert (answer.status_code, answer.json()) == (200, reply)
        [event] = client.sink.events
        assert (event.project, columns_of(event), event.named) == ("shop", columns, named)
        assert b"TOK" not in event.metadata


async def test_an_event_keeps_its_id_time_properties_and_library() -> None:
    async with collector() as client:
        event = await one(
            client,
            {
                "event": "Signed Up",
                "properties": {**PROPERTIES, "mp_lib": "python", "$lib_version": "5"},
            },
        )
        assert event.timestamp.isoformat() == "2020-01-01T00:00:00.500000+00:00"
        assert metadata(event) == {
            "plan": "pro",
            "$lib": "python",
            "$lib_version": "5",
            "$id": "17ee",
        }


@pytest.mark.parametrize(
    "time", [1577836800, 1577836800000, "1577836800", "1577836800.0", "1577836800000"]
)
async def test_a_time_is_in_seconds_or_milliseconds(time: Any) -> None:
    async with collector() as client:
        event = await one(client, {"event": "e", "properties": {**PROPERTIES, "time": time}})
        assert event.timestamp.isoformat() == "2020-01-01T00:00:00+00:00"


EVENTS: dict[str, tuple[str, dict[str, Any], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "a device": (
        "e",
        {"distinct_id": "$device:d1", "$device_id": "d1"},
        ("track", "e", "d1", "$none"),
        {},
    ),
    "a user on a device": (
        "e",
        {"distinct_id": "u1", "$user_id": "u1", "$device_id": "d1"},
        ("track", "e", "u1", "$none"),
        {"$anonymous_id": "d1"},
    ),
    "identify": (
        "$identify",
        {"$identified_id": "u1", "$anon_id": "d1"},
        ("identify", "identify", "u1", "$none"),
        {"$anonymous_id": "d1"},
    ),
    "identify, as browsers send it": (
        "$identify",
        {"$user_id": "u1", "$device_id": "d1", "$anon_distinct_id": "$device:d1"},
        ("identify", "identify", "u1", "$none"),
        {"$anonymous_id": "d1", "$anon_distinct_id": "$device:d1"},
    ),
    "an alias": (
        "$create_alias",
        {"distinct_id": "d1", "alias": "u1"},
        ("alias", "alias", "u1", "$none"),
        {"$previous_id": "d1"},
    ),
    "a merge": (
        "$merge",
        {"$distinct_ids": ["u1", "d1"]},
        ("alias", "merge", "u1", "$none"),
        {"$previous_id": "d1"},
    ),
    "a page view": (
        "$mp_web_page_view",
        {"current_url_path": "/a", "utm_source": "mail"},
        ("page", "view", "u1", "$none"),
        {"$path": "/a", "$utm_source": "mail"},
    ),
}


@pytest.mark.parametrize(("name", "properties", "columns", "extra"), EVENTS.values(), ids=EVENTS)
async def test_each_event_has_its_columns_and_metadata(
    name: str,
    properties: dict[str, Any],
    columns: tuple[str, str, str | None, str],
    extra: dict[str, Any],
) -> None:
    async with collector() as client:
        event = await one(
            client, {"event": name, "properties": {"token": "T", "distinct_id": "u1", **properties}}
        )
        assert columns_of(event) == columns
        assert metadata(event) == extra


UPDATES: dict[str, tuple[str, dict[str, Any], tuple[str, str, str | None, str]]] = {
    "increment": (
        "/engage",
        {"$distinct_id": "u1", "$add": {"n": 1}},
        ("identify", "add", "u1", "$none"),
    ),
    "delete": (
        "/engage",
        {"$distinct_id": "u1", "$delete": ""},
        ("identify", "delete", "u1", "$none"),
    ),
    "a group": (
        "/groups",
        {"$group_key": "org", "$group_id": "o1", "$set": {"a": 1}},
        ("group", "set", None, "$nobody"),
    ),
}


@pytest.mark.parametrize(
    ("person", "user", "extra"),
    [
        ({"$distinct_id": "$device:d1", "$device_id": "d1"}, "d1", {}),
        (
            {"$distinct_id": "u1", "$user_id": "u1", "$device_id": "d1"},
            "u1",
            {"$anonymous_id": "d1"},
        ),
    ],
)
async def test_an_update_is_of_the_same_actor_as_an_event(
    person: dict[str, Any], user: str, extra: dict[str, Any]
) -> None:
    async with collector() as client:
        event = await one(client, {"$token": "T", "$set": {"a": 1}, **person}, "/engage")
        assert columns_of(event) == ("identify", "set", user, "$none")
        assert metadata(event) == {"$set": {"a": 1}, **extra}


@pytest.mark.parametrize(("path", "update", "columns"), UPDATES.values(), ids=UPDATES)
async def test_updates_of_profiles_and_groups_become_events(
    path: str, update: dict[str, Any], columns: tuple[str, str, str | None, str]
) -> None:
    async with collector() as client:
        event = await one(client, {"$token": "T", "$time": 1577836800, **update}, path)
        assert columns_of(event) == columns
        assert metadata(event) == {
            name: value for name, value in update.items() if name != "$distinct_id"
        }


EVENT = json.dumps({"event": "e", "properties": PROPERTIES}).encode()


@pytest.mark.parametrize(
    "body",
    [
        EVENT,
        b"[%s]" % EVENT,
        base64.b64encode(EVENT),
        b"data=" + base64.urlsafe_b64encode(EVENT).rstrip(b"="),
    ],
)
async def test_a_body_is_understood_in_every_wrapping(body: bytes) -> None:
    async with collector("TOK", require_write_key=True) as client:
        answer = await client.send_events(body, "/track?verbose=0")
        assert (answer.status_code, answer.text) == (200, "1")
        assert columns_of(client.sink.events[0]) == ("track", "e", "u1", "$none")


async def test_the_answer_is_bare_unless_asked_to_be_verbose() -> None:
    async with collector() as client:
        bad = json.dumps({"event": "x" * 256, "properties": PROPERTIES})
        answer = await client.post("/track", data={"data": bad})
        assert (answer.status_code, answer.text, answer.headers["x-analytics"]) == (
            400,
            "0",
            "1 rejected; the first: too_long event_action",
        )
        assert (await client.post("/track?verbose=1", data={"data": bad})).json()["status"] == 0
        answer = await client.post("/track?verbose=1", data={"data": f"[{bad},{EVENT.decode()}]"})
        assert (
            answer.status_code,
            answer.json()["status"],
            answer.json()["rejected"][0]["index"],
        ) == (200, 1, 0)


@pytest.mark.parametrize("body", [b"[%s,%s]" % (EVENT, EVENT), b"%s\n\n%s\n" % (EVENT, EVENT)])
async def test_an_import_is_a_list_or_an_event_a_line(body: bytes) -> None:
    async with collector("TOK", require_write_key=True) as client:
        answer = await client.post("/import?strict=1", content=body, auth=("TOK", ""))
        assert answer.status_code == 200
        assert {
            "code": 200,
            "num_records_imported": 2,
            "status": "OK",
        }.items() <= answer.json().items()
        assert (
            await client.post("/import?project_id=TOK", content=body, auth=("service", "secret"))
        ).status_code == 200
        answer = await client.post("/import", content=b'[{"event":null}]', auth=("TOK", ""))
        assert (
            answer.status_code,
            [each["index"] for each in answer.json()["failed_records"]],
        ) == (400, [0])


async def test_one_insert_id_is_one_event_only_with_name_time_and_person() -> None:
    async with collector() as client:
        given = {"distinct_id": "u", "time": 1577836800, "$insert_id": "i-1"}
        others = {"distinct_id": "v"}, {"time": 1577836801}, {"$insert_id": "i-2"}
        different = [{"event": "e", "properties": given}, {"event": "f", "properties": given}]
        different += [{"event": "e", "properties": {**given, **other}} for other in others]
        for path in ("/track", "/import"):
            await client.send_events(different, path)
        ids = [event.id for event in client.sink.events]
        assert ids[:5] == ids[5:]
        assert len(set(ids)) == 5
        assert metadata(client.sink.events[0])["$id"] == "i-1"
        assert client.sink.events[0].former == event_id("i-1")


async def test_a_time_is_one_as_text_and_as_a_number_and_makes_the_id_that_it_always_made() -> None:
    async with collector() as client:
        for time in (1577836800.5, "1577836800.5", "1577836800.50"):
            await one(client, {"event": "e", "properties": {**PROPERTIES, "time": time}})
        assert {event.id for event in client.sink.events} == {
            joint_id("17ee", "e", Decimal("1577836800.5"), "u1")
        }


@pytest.mark.parametrize("path", ["/track?verbose=1", "/import"])
async def test_each_event_goes_by_its_own_key(path: str) -> None:
    async with collector("TOK") as client:
        events = [
            {"event": "e", "properties": {**PROPERTIES, "token": key}}
            for key in (None, "TOK", "ak_w_old", "OTHER")
        ]
        answer = await client.send_events(events, path)
        assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [
            (2, "unauthorized")
        ]
        assert [event.project for event in client.sink.events] == ["default", "shop", "default"]
