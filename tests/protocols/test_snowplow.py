"""Snowplow: protocol 2 by POST and GET."""

import base64
import json
from typing import Any
from uuid import UUID

import pytest

from tests.collecting import Client
from tests.protocols.captured import UNIVERSAL, collector, columns_of, metadata, replay

TP2 = "/com.snowplowanalytics.snowplow/tp2"
EVENT = {
    "e": "se",
    "se_ca": "shop",
    "se_ac": "add",
    "eid": "ed638ff8-1f9e-47b5-a90d-295d19ef0cff",
    "dtm": "1577836800000",
    "aid": "app",
}


async def one(client: Client, **fields: Any) -> Any:
    answer = await client.send_events({"schema": "iglu:x", "data": [{**EVENT, **fields}]}, TP2)
    assert answer.status_code == 200, answer.text
    return client.sink.events[-1]


async def test_what_was_captured_lands_in_the_apps_project() -> None:
    async with collector("app", require_write_key=True) as client:
        answer = await replay(client, "snowplow-1")
        assert (answer.status_code, answer.json()) == (200, UNIVERSAL)
        assert [columns_of(event) for event in client.sink.events] == [
            ("page", "view", "u1", "$none"),
            ("track", "add", "u1", "$none"),
            ("track", "signup", "u1", "$none"),
        ]
        page, structured, custom = map(metadata, client.sink.events)
        assert (page["$url"], page["$title"], page["$lib"], page["$platform"], page["$app_id"]) == (
            "https://x.com/a",
            "A",
            "py-1.1.0",
            "pc",
            "app",
        )
        assert {"category": "shop", "property": "p", "value": 2}.items() <= structured.items()
        assert (custom["plan"], custom["$schema"]) == (
            "pro",
            "iglu:com.acme/signup/jsonschema/1-0-0",
        )
        assert client.sink.events[0].id == UUID("09bfb23a-22fe-420c-b738-578eb99c37e4")
        assert (await replay(client, "js-snowplow-1")).status_code == 200
        assert {event.project for event in client.sink.events} == {"shop"}


SCREEN: dict[str, Any] = {
    "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
    "data": {
        "schema": "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0",
        "data": {"name": "Menu"},
    },
}
CONTEXTS = {
    "schema": "iglu:contexts",
    "data": [{"schema": "iglu:a/b/jsonschema/1-0-0", "data": {"x": 1}}],
}
EVENTS: dict[str, tuple[dict[str, Any], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "a domain session": (
        {"duid": "d1", "sid": "s1", "uid": "u1"},
        ("track", "add", "u1", "s1"),
        {"category": "shop", "$anonymous_id": "d1"},
    ),
    "a network user": ({"tnuid": "n1"}, ("track", "add", "n1", "$none"), {"category": "shop"}),
    "contexts": (
        {"co": json.dumps(CONTEXTS)},
        ("track", "add", None, "$nobody"),
        {"category": "shop", "$contexts": CONTEXTS["data"]},
    ),
    "a screen": (
        {"e": "ue", "ue_pr": json.dumps(SCREEN)},
        ("screen", "Menu", None, "$nobody"),
        {"name": "Menu", "$schema": SCREEN["data"]["schema"], "$se_ca": "shop"},
    ),
    "an envelope that cannot be read": (
        {"e": "pp", "cx": "!!"},
        ("track", "page_ping", None, "$nobody"),
        {"$contexts": "!!", "$se_ca": "shop"},
    ),
}


@pytest.mark.parametrize(("fields", "columns", "extra"), EVENTS.values(), ids=EVENTS)
async def test_each_event_has_its_columns_and_metadata(
    fields: dict[str, Any], columns: tuple[str, str, str | None, str], extra: dict[str, Any]
) -> None:
    async with collector() as client:
        event = await one(client, **fields)
        assert columns_of(event) == columns
        assert {
            name: value
            for name, value in metadata(event).items()
            if name not in ("$app_id", "$se_ac")
        } == extra


async def test_each_events_sending_corrects_its_clock_but_a_true_time_stands() -> None:
    async with collector() as client:
        skewed = await one(client, stm="1577836805000")
        assert abs((skewed.created_at - skewed.timestamp).total_seconds() - 5) < 1
        for sent in (None, "1577836805000"):
            true = await one(client, ttm="1577836801000", stm=sent)
            assert true.timestamp.isoformat() == "2020-01-01T00:00:01+00:00"
        without = await one(client, ttm="")
        assert without.timestamp.isoformat() == "2020-01-01T00:00:00+00:00"


async def test_an_event_may_come_by_get_and_hears_an_image() -> None:
    async with collector("app", require_write_key=True) as client:
        unstruct = base64.urlsafe_b64encode(json.dumps(SCREEN).encode()).decode().rstrip("=")
        answer = await client.get("/i", params={"e": "ue", "ue_px": unstruct, "aid": "app"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
        assert columns_of(client.sink.events[0])[:2] == ("screen", "Menu")


async def test_a_body_too_large_is_422_for_at_413_trackers_try_again() -> None:
    async with collector() as client:
        assert (await client.send_events(b"x" * 2_000_000, TP2)).status_code == 422
        for body in (b"", b"{}", b'{"data":[]}', b'{"data":[5]}'):
            assert (await client.send_events(body, TP2)).status_code == 400


async def test_json_inside_json_keeps_all_but_its_bad_characters() -> None:
    inner = {"schema": "iglu:x", "data": {"schema": "iglu:com.acme/n/jsonschema/1-0-0", "data": {}}}
    text = json.dumps(inner).replace("{}", '{"a\ud83d":"\\ud83d"}')
    encoded = base64.urlsafe_b64encode(json.dumps(inner).replace("{}", '{"a":"X"}').encode())
    broken = base64.b64encode(base64.b64decode(encoded, b"-_").replace(b"X", b"\xe9")).decode()
    async with collector() as client:
        for fields, data in (
            ({"ue_pr": text}, {"a\ufffd": "\ufffd"}),
            ({"ue_px": broken}, {"a": "\ufffd"}),
            ({"ue_pr": None, "ue_px": broken}, {"a": "\ufffd"}),
            ({"ue_pr": "", "ue_px": broken}, {"a": "\ufffd"}),
        ):
            event = await one(client, e="ue", se_ca=None, se_ac=None, **fields)
            assert (event.event_action, data.items() <= metadata(event).items()) == ("n", True)
