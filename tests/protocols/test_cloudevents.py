"""CloudEvents in their three modes."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from analytics.events import event_id
from tests.collecting import GOOD
from tests.protocols.captured import collector, columns_of, metadata

EVENT = {
    "specversion": "1.0",
    "id": "7",
    "source": "/shop",
    "type": "com.acme.ordered",
    "time": "2020-01-01T00:00:00Z",
    "userid": "u1",
    "data": {"plan": "pro"},
}
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "7",
    "ce-source": "/shop",
    "ce-type": "com.acme.ordered",
    "ce-userid": "u1",
    "content-type": "application/json",
}


@pytest.mark.parametrize("path", ["/collect", "/cloudevents"])
@pytest.mark.parametrize("mode", ["structured", "batch", "binary"])
async def test_an_event_arrives_in_every_mode(path: str, mode: str) -> None:
    async with collector("WK", require_write_key=True) as client:
        key = {"x_write_key": "WK"}
        if mode == "structured":
            answer = await client.send_events(
                EVENT, path, content_type="application/cloudevents+json; charset=utf-8", **key
            )
        elif mode == "batch":
            answer = await client.send_events(
                [EVENT], path, content_type="application/cloudevents-batch+json", **key
            )
        else:
            answer = await client.send_events({"plan": "pro"}, path, **HEADERS, **key)
        assert answer.status_code == 200
        [event] = client.sink.events
        assert (event.project, columns_of(event)) == (
            "shop",
            ("track", "com.acme.ordered", "u1", "$none"),
        )
        assert event.id == event_id("/shop 7")
        assert {"plan": "pro", "$source": "/shop", "$id": "7"}.items() <= metadata(event).items()


DATA: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a list": ({"data": [1]}, {"$data": [1]}),
    "base64": ({"data": None, "data_base64": "AAA="}, {"$data_base64": "AAA="}),
    "extensions": (
        {"data": None, "subject": "order/7", "trace": "x"},
        {"$subject": "order/7", "$trace": "x"},
    ),
}


@pytest.mark.parametrize(("fields", "extra"), DATA.values(), ids=DATA)
async def test_nothing_of_an_event_is_lost(fields: dict[str, Any], extra: dict[str, Any]) -> None:
    async with collector() as client:
        assert (
            await client.send_events(
                {**EVENT, **fields}, content_type="application/cloudevents+json"
            )
        ).status_code == 200
        assert metadata(client.sink.events[0]) == {
            "$specversion": "1.0",
            "$id": "7",
            "$source": "/shop",
            **extra,
        }


@pytest.mark.parametrize(
    ("content_type", "body", "extra"),
    [("text/plain", b"hi", {"$data": "hi"}), ("image/png", b"\xff", {"$data_base64": "/w=="})],
)
async def test_data_of_any_type_is_kept(
    content_type: str, body: bytes, extra: dict[str, Any]
) -> None:
    async with collector() as client:
        assert (
            await client.send_events(
                body, "/cloudevents", **{**HEADERS, "content-type": content_type}
            )
        ).status_code == 200
        assert extra.items() <= metadata(client.sink.events[0]).items()


async def test_one_id_of_two_sources_is_two_events() -> None:
    async with collector() as client:
        events = [
            EVENT,
            {**EVENT, "source": "/other"},
            {**EVENT, "source": "s" * 300},
            {**EVENT, "id": None},
        ]
        answer = await client.send_events(
            events, "/cloudevents", content_type="application/cloudevents-batch+json"
        )
        assert len({event.id for event in client.sink.events}) == 3
        assert [rejection["index"] for rejection in answer.json()["rejected"]] == [3]


async def test_what_is_no_cloud_event_is_ours_at_collect_and_a_mistake_elsewhere() -> None:
    async with collector() as client:
        assert (await client.send_events(GOOD)).status_code == 202
        assert (await client.send_events(GOOD, "/cloudevents")).status_code == 400
        assert (
            await client.send_events(
                EVENT, x_write_key="unknown", content_type="application/cloudevents+json"
            )
        ).status_code == 401


async def test_a_uuid_is_one_event_in_any_case_also_one_that_an_earlier_release_stored() -> None:
    own = "0193f0aa-6ad7-5f5c-9c0e-5d7a4c1b2e90"
    async with collector() as client:
        for spelling in (own, own.upper()):
            event = {"specversion": "1.0", "type": "t", "source": "/s", "id": spelling}
            await client.send_events(event, content_type="application/cloudevents+json")
        lower, upper = client.sink.events
        assert lower.id == upper.id == event_id(f"/s {own}")
        assert (lower.former, upper.former) == (None, event_id(f"/s {own.upper()}"))
        assert metadata(upper)["$id"] == own


STRUCTURED = {"content_type": "application/cloudevents+json"}


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("own", ["undefined", " null ", str(UUID(int=0))])
async def test_a_placeholder_as_id_costs_no_event_and_makes_no_two_one(own: str, mode: str) -> None:
    async with collector() as client:
        for _ in range(2):
            sent = {**EVENT, "id": own} if mode == "structured" else {"plan": "pro"}
            headers = STRUCTURED if mode == "structured" else {**HEADERS, "ce-id": own}
            assert (await client.send_events(sent, "/cloudevents", **headers)).status_code == 200
        one, other = client.sink.events
        assert one.id != other.id
        assert (one.named, one.former, "$id" in metadata(one)) == (False, None, False)


async def test_an_id_that_is_a_number_is_its_text() -> None:
    async with collector() as client:
        for own in (b'"7"', b"7", b"7.0"):
            sent = msgspec.json.encode(EVENT).replace(b'"id":"7"', b'"id":' + own)
            assert (await client.send_events(sent, **STRUCTURED)).status_code == 200
        assert {event.id for event in client.sink.events} == {event_id("/shop 7")}
        assert {event.former for event in client.sink.events} == {None}


@pytest.mark.parametrize("own", [None, "", True, {}])
async def test_an_event_without_an_id_is_refused(own: Any) -> None:
    async with collector() as client:
        answer = await client.send_events({**EVENT, "id": own}, **STRUCTURED)
        assert (answer.status_code, client.sink.events) == (400, [])
        assert answer.json()["rejected"][0]["field"] == "id"


async def test_a_long_id_of_bad_characters_is_one_event_too() -> None:
    async with collector() as client:
        for own in ("\ud83d", "\ud83e", "\ud83d"):
            sent = {**EVENT, "id": own * 300}
            assert (await client.send_events(sent, **STRUCTURED)).status_code == 200
        first, second, again = client.sink.events
        assert first.id == again.id != second.id
