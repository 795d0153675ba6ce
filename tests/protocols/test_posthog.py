"""PostHog: capture v0 and v1, and the stubs."""

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from analytics.roles.collector.limits import Limits
from tests.collecting import Client
from tests.protocols.captured import UNIVERSAL, collector, columns_of, metadata, replay

EVENT = {
    "event": "signup",
    "distinct_id": "u1",
    "uuid": "896a1f46-f629-42e6-8634-6cc6f8bdf4fe",
    "properties": {"plan": "pro"},
}
V1 = "/i/v1/analytics/events"


async def one(client: Client, **fields: Any) -> Any:
    answer = await client.send_events(
        {"api_key": "phc_key", "batch": [{**EVENT, **fields}]}, "/batch/"
    )
    assert answer.status_code == 200, answer.text
    return client.sink.events[-1]


@pytest.mark.parametrize(
    ("name", "names"), [("posthog-v0-1", ["signup", "set"]), ("js-posthog-node-1", ["signup"])]
)
async def test_what_was_captured_lands_in_the_keys_project(name: str, names: list[str]) -> None:
    async with collector("phc_key", require_write_key=True) as client:
        answer = await replay(client, name)
        assert (answer.status_code, answer.json()) == (200, UNIVERSAL)
        assert [event.event_action for event in client.sink.events] == names
        event = client.sink.events[0]
        assert (event.project, event.event_type, event.user_id, event.named) == (
            "shop",
            "track",
            "u1",
            True,
        )
        assert metadata(event)["plan"] == "pro"
        assert metadata(event)["$lib"].startswith("posthog-")
        assert b"phc_key" not in event.metadata


async def test_capture_v1_answers_for_each_event() -> None:
    async with collector("phc_key", require_write_key=True) as client:
        answer = await replay(client, "posthog-v1-1")
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "results": {
                    "213b848e-3c34-492a-995f-eed2269019ae": {"result": "ok", "details": None}
                }
            },
        )
        assert columns_of(client.sink.events[0]) == ("track", "signup", "u1", "$none")
        assert metadata(client.sink.events[0])["$lib"] == "posthog-python"
        bad = {**EVENT, "uuid": "11111111-f629-42e6-8634-6cc6f8bdf4fe", "event": None}
        answer = await client.send_events(
            {"batch": [EVENT, bad, 5, {"uuid": "\ud800"}]}, V1, authorization="Bearer phc_key"
        )
        assert answer.json()["results"] == {
            EVENT["uuid"]: {"result": "ok", "details": None},
            bad["uuid"]: {"result": "drop", "details": "event_action is missing"},
            "\ufffd": {"result": "drop", "details": "event_action is missing"},
        }
        assert answer.headers["x-analytics"].startswith("3 rejected")
        for uuid, results in (("u" * 36, 1), ("u" * 37, 0)):
            sent = {"batch": [EVENT | {"uuid": uuid}]}
            answer = await client.send_events(sent, V1, authorization="Bearer phc_key")
            assert len(answer.json()["results"]) == results
        twice = [{**bad, "event": "good"}, bad, {**bad, "event": "good too"}]
        answer = await client.send_events({"batch": twice}, V1, authorization="Bearer phc_key")
        assert answer.json()["results"][bad["uuid"]]["result"] == "drop"
        assert (await client.send_events({}, V1, authorization="Bearer phc_key")).status_code == 400
        assert (
            await client.send_events({"batch": [EVENT]}, V1, authorization="Bearer unknown")
        ).status_code == 401


async def test_capture_v1_is_pushed_back_with_503_for_there_429_is_the_end() -> None:
    async with collector() as client:
        client.intake.limits = Limits(1, now=lambda: 0.0)
        answers = [await client.send_events({"batch": [EVENT]}, V1) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 503]
        assert answers[-1].headers["retry-after"]
        assert (await client.send_events(EVENT, "/e/")).status_code == 429


EVENTS: dict[str, tuple[dict[str, Any], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "a page view": (
        {
            "event": "$pageview",
            "properties": {
                "$current_url": "https://x.com/a",
                "$pathname": "/a",
                "$session_id": "s1",
                "utm_source": "mail",
            },
        },
        ("page", "view", "u1", "s1"),
        {"$url": "https://x.com/a", "$host": "x.com", "$path": "/a", "$utm_source": "mail"},
    ),
    "a screen": (
        {"event": "$screen", "properties": {"$screen_name": "Menu"}},
        ("screen", "Menu", "u1", "$none"),
        {},
    ),
    "autocapture": (
        {"event": "$autocapture"},
        ("track", "$autocapture", "u1", "$none"),
        {"plan": "pro"},
    ),
    "identify": (
        {"event": "$identify", "properties": {"$anon_distinct_id": "a1"}, "$set": {"b": 1}},
        ("identify", "identify", "u1", "$none"),
        {"$anonymous_id": "a1", "$set": {"b": 1}},
    ),
    "set": (
        {"event": "$set", "properties": {"$set": {"b": 1}}},
        ("identify", "set", "u1", "$none"),
        {"$set": {"b": 1}},
    ),
    "an alias": (
        {"event": "$create_alias", "properties": {"distinct_id": "a1", "alias": "u1"}},
        ("alias", "alias", "u1", "$none"),
        {"$previous_id": "a1"},
    ),
    "a merge": (
        {"event": "$merge_dangerously", "properties": {"alias": "a1"}},
        ("alias", "merge", "u1", "$none"),
        {"$previous_id": "a1"},
    ),
    "a group": (
        {
            "event": "$groupidentify",
            "properties": {"$group_type": "company", "$group_key": "g1", "$group_set": {"a": 1}},
        },
        ("group", "group", "u1", "$none"),
        {"$group_id": "g1", "$group_type": "company", "$group_set": {"a": 1}},
    ),
    "the person among the properties": (
        {"distinct_id": None, "properties": {"distinct_id": 7}},
        ("track", "signup", "7", "$none"),
        {},
    ),
    "a property named token": (
        {"properties": {"token": "mine"}},
        ("track", "signup", "u1", "$none"),
        {"token": "mine"},
    ),
    "properties that are a list": (
        {"properties": [1]},
        ("track", "signup", "u1", "$none"),
        {"$properties": [1]},
    ),
    "other fields": (
        {"type": "capture", "$set_once": {"a": 1}},
        ("track", "signup", "u1", "$none"),
        {"plan": "pro", "$type": "capture", "$set_once": {"a": 1}},
    ),
}


@pytest.mark.parametrize(("fields", "columns", "extra"), EVENTS.values(), ids=EVENTS)
async def test_each_event_has_its_columns_and_metadata(
    fields: dict[str, Any], columns: tuple[str, str, str | None, str], extra: dict[str, Any]
) -> None:
    async with collector() as client:
        event = await one(client, **fields)
        assert columns_of(event) == columns
        assert metadata(event) == extra | {"$id": EVENT["uuid"]}


ALONE = json.dumps({**EVENT, "properties": {"token": "phc_key", "plan": "pro"}}).encode()
FORMS: dict[str, tuple[str, bytes]] = {
    "an object": ("/e/", ALONE),
    "a list": ("/i/v0/e", b"[%s]" % ALONE),
    "gzip without a word of it": ("/i/v0/e/?ip=1&_=1795444521373", gzip.compress(ALONE)),
    "base64 in a form": (
        "/e/?compression=base64",
        b"data=" + quote(base64.b64encode(ALONE)).encode(),
    ),
    "base64 alone": ("/capture/", base64.b64encode(ALONE)),
    "on Mixpanel's path": ("/track/", ALONE),
    "with a key for all": ("/batch", b'{"api_key":"phc_key","batch":[%s]}' % ALONE),
}


@pytest.mark.parametrize(("path", "body"), FORMS.values(), ids=FORMS)
async def test_a_body_is_understood_in_every_wrapping(path: str, body: bytes) -> None:
    async with collector("phc_key", require_write_key=True) as client:
        assert (await client.send_events(body, path, content_type="text/plain")).status_code == 200
        [event] = client.sink.events
        assert (event.project, metadata(event)) == ("shop", {"plan": "pro", "$id": EVENT["uuid"]})


async def test_an_event_may_come_by_get() -> None:
    async with collector() as client:
        assert (
            await client.get("/e/", params={"data": base64.b64encode(ALONE).decode()})
        ).status_code == 200
        assert columns_of(client.sink.events[0]) == ("track", "signup", "u1", "$none")


@pytest.mark.parametrize("path", ["/e/", "/track/", "/i/v1/analytics/events"])
async def test_each_event_goes_by_its_own_key(path: str) -> None:
    async with collector("phc_key") as client:
        batch = [
            {**EVENT, "properties": {"token": key} if key else {}}
            for key in (None, "phc_key", "ak_w_old", "phc_other")
        ]
        body = {"batch": batch} if "v1" in path else batch
        answer = await client.send_events(body, path)
        assert answer.status_code == 200
        assert "1 rejected; the first: unauthorized" in answer.headers["x-analytics"]
        assert [event.project for event in client.sink.events] == ["default", "shop", "default"]
        assert all("token" not in metadata(event) for event in client.sink.events)


@pytest.mark.parametrize("where", ["api_key", "token", "$token", "properties"])
@pytest.mark.parametrize("name", ["token", "api_key"])
async def test_a_key_may_be_in_the_event_or_its_properties(where: str, name: str) -> None:
    key = {"properties": {name: "phc_key"}} if where == "properties" else {where: "phc_key"}
    async with collector("phc_key", require_write_key=True) as client:
        answer = await client.send_events([{"event": "e", "distinct_id": "u", **key}], "/e/")
        assert answer.status_code == 200
        [event] = client.sink.events
        assert (event.project, metadata(event)) == ("shop", {})


async def test_a_time_is_one_as_text_and_as_a_number() -> None:
    async with collector() as client:
        for time in (1577836800000, "1577836800000", "1577836800000.0"):
            await one(client, timestamp=time)
        assert len({(event.id, event.timestamp) for event in client.sink.events}) == 1


@pytest.mark.parametrize("screen", [None, "", False])
async def test_a_screen_without_a_name_is_a_view(screen: Any) -> None:
    async with collector() as client:
        event = await one(client, event="$screen", properties={"$screen_name": screen})
        assert columns_of(event) == ("screen", "view", "u1", "$none")


async def test_one_uuid_is_one_event_only_with_name_person_and_time() -> None:
    async with collector() as client:
        times = {"timestamp": "2020-01-01T00:00:00Z"}, {"timestamp": "2020-01-01T00:00:00.000Z"}
        different = [EVENT, EVENT | {"event": "renamed"}, EVENT | {"distinct_id": "u2"}]
        different += [EVENT | time for time in times]
        for _ in range(2):  # the second time is a retry
            for event in different:
                await client.send_events({**event, "sent_at": "2020-01-02T00:00:00Z"}, "/e/")
        ids = [event.id for event in client.sink.events]
        assert ids[:5] == ids[5:]
        assert len(set(ids)) == 5
        assert {event.former for event in client.sink.events} == {UUID(str(EVENT["uuid"]))}


async def test_an_offset_counts_back_from_the_sending() -> None:
    async with collector() as client:
        await client.send_events(
            {
                "api_key": "k",
                "sent_at": "2020-01-01T00:00:00Z",
                "batch": [{**EVENT, "offset": 5000}],
            },
            "/batch/",
        )
        [event] = client.sink.events
        assert abs((event.created_at - event.timestamp).total_seconds() - 5) < 1
        await client.send_events({**EVENT, "api_key": "k", "offset": 1e300}, "/e/")
        assert client.sink.events[1].timestamp == client.sink.events[1].created_at


@pytest.mark.parametrize(
    ("path", "sent_at"), [("/batch/", "sent_at"), ("/i/v1/analytics/events", "created_at")]
)
async def test_a_migration_keeps_its_times(path: str, sent_at: str) -> None:
    then = "2020-01-01T00:00:00+00:00"
    batch = {"batch": [EVENT | {"timestamp": then}], sent_at: then, "historical_migration": True}
    async with collector() as client:
        await client.send_events({"api_key": "k", **batch}, path)
        assert client.sink.events[0].timestamp.isoformat() == then


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/flags/?v=2", {"flags": {}, "errorsWhileComputingFlags": False}),
        ("/decide/?v=3", {"featureFlags": {}}),
        ("/array/phc_key/config", {"supportedCompression": ["gzip-js"], "hasFeatureFlags": False}),
        ("/s/", {"status": 1}),
    ],
)
async def test_what_is_no_event_is_answered_quietly(path: str, part: dict[str, Any]) -> None:
    async with collector(require_write_key=True) as client:
        for answer in (
            await client.get(path),
            await client.post(
                path, content=b"x" * 2_000_000, headers={"origin": "https://a.example"}
            ),
        ):
            assert answer.status_code == 200
            assert part.items() <= answer.json().items()
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert client.sink.events == []


async def test_what_is_said_once_of_all_events_is_short_in_each() -> None:
    batch = {"batch": [EVENT, {**EVENT, "distinct_id": "u2"}], "historical_migration": ["x" * 999]}
    async with collector() as client:
        await client.send_events(batch, "/batch/")
        await client.send_events(batch, V1, posthog_sdk_info=f"{'l' * 150}/{'v' * 30_000}")
        assert [metadata(event)["$historical_migration"] for event in client.sink.events] == [
            True
        ] * 4
        assert {
            (metadata(event)["$lib"], metadata(event)["$lib_version"])
            for event in client.sink.events[2:]
        } == {("l" * 150, "v" * 49)}
