"""What holds of one event in every protocol: a value that is wrong costs no event."""

import base64
import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from analytics.events import Event
from analytics.protocols import PROTOCOLS
from analytics.stores.identity.claims import find_claims
from tests.collecting import Client
from tests.protocols.captured import collector, columns_of, metadata
from tests.protocols.messages import (
    CLOUD,
    GA4,
    HERE,
    IDS,
    PROPERTIES,
    SNOWPLOW,
    WITHOUT_IDS,
    Message,
)

FOREIGN = {protocol.name for protocol in PROTOCOLS} - {"native", "pixel"}


async def taken(message: Message, client: Client, value: str) -> Event:
    """The event that a message with this value became."""
    before = len(client.sink.events)
    answer = await message.send(client, value)
    assert answer.status_code < 300, answer.text
    assert b"rejected" not in answer.content
    [event] = client.sink.events[before:]
    return event


def names_of(event: Event) -> set[str]:
    """The names that an event links."""
    return {name for said in find_claims([event]).values() for name in said.names}


def product(case: str) -> str:
    return case.partition(",")[0]


def test_no_protocol_is_forgotten() -> None:
    assert set(map(product, PROPERTIES)) == FOREIGN
    tested = {name.partition("_")[0] for name in map(product, IDS)} | {*WITHOUT_IDS}
    assert tested == {name.partition("_")[0] for name in FOREIGN}


NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1E-999", "9" * 401]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: value[:9])
@pytest.mark.parametrize("name", PROPERTIES)
async def test_what_is_no_number_becomes_its_text_and_costs_no_event(name: str, value: str) -> None:
    async with collector() as client:
        answer = await PROPERTIES[name].send(client, f'[{value}, {{"y": [{value}], "z": 30.0}}]')
        assert answer.status_code < 300, answer.text
        assert answer.headers["x-analytics"] == "1 mended: bad_number"
        [event] = client.sink.events
        kept = json.dumps([value, {"y": [value], "z": 30}], separators=(",", ":"))
        assert f'"x":{kept}'.encode() in event.metadata


@pytest.mark.parametrize("path", ["/collect", "/collect.gif"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: value[:9])
async def test_natively_what_is_no_number_is_refused(path: str, value: str) -> None:
    fields = {"session_id": "s", "event_type": "t", "event_action": "a"}
    async with collector() as client:
        if path == "/collect":
            body = json.dumps(fields)[:-1] + f', "metadata": {{"x": {value}}}}}'
            answer = await client.send_events(body.encode(), path)
        else:
            answer = await client.get(path, params=fields | {"metadata": f'{{"x": {value}}}'})
        assert (answer.status_code, client.sink.events) == (400, [])
        assert answer.json()["rejected"][0]["field"] == "metadata.x"


async def test_a_note_counts_events_by_what_was_mended_of_them() -> None:
    bad = [{"x": float("nan"), "y": float("inf")}, {"x": "\0"}, {"x": 1}, {"x": float("nan")}]
    batch = [{"type": "track", "event": "e", "userId": "u", "properties": one} for one in bad]
    async with collector() as client:
        answer = await client.send_events({"batch": batch}, "/v1/batch")
        notes = answer.headers["x-analytics"].split("; ")
        assert sorted(notes) == ["1 mended: bad_character", "2 mended: bad_number"]


async def test_a_number_that_is_none_is_mended_beside_a_bad_character() -> None:
    async with collector() as client:
        event = await taken(PROPERTIES["segment"], client, '["caf\\u0000", NaN]')
        assert metadata(event)["x"] == ["caf\ufffd", "NaN"]


async def test_a_name_that_is_no_number_costs_no_event_either() -> None:
    async with collector() as client:
        for name in ("NaN", "7", '"7"'):
            body = b'{"userId":"u","event":%s}' % name.encode()
            assert (await client.send_events(body, "/v1/track")).status_code == 200
        assert [event.event_action for event in client.sink.events] == ["NaN", "7", "7"]


NOBODY = ["true", "false", "NaN", "Infinity", "-Infinity", "1e999", "{}", '{"a":1}', "[]", '["u"]']
NOBODY += ['""']


@pytest.mark.parametrize("value", NOBODY)
@pytest.mark.parametrize("name", IDS)
async def test_an_id_that_is_no_text_and_no_number_is_nobodys_as_null_is(
    name: str, value: str
) -> None:
    async with collector() as client:
        nobody = await taken(IDS[name], client, "null")
        event = await taken(IDS[name], client, value)
        assert columns_of(event) == columns_of(nobody)
        assert event.named is nobody.named
        assert metadata(event) == metadata(nobody)
        assert (event.id == nobody.id) is event.named
        assert names_of(event) == names_of(nobody)


@pytest.mark.parametrize("name", IDS)
async def test_an_id_that_is_a_number_is_its_text(name: str) -> None:
    async with collector() as client:
        text = await taken(IDS[name], client, '"42"')
        for number in ("42", "42.0", "4.2e1"):
            event = await taken(IDS[name], client, number)
            assert event.user_id == text.user_id
            if "session" not in name and "sid" not in name:  # a number is unique only for its actor
                assert columns_of(event) == columns_of(text)
                assert (event.id == text.id) is text.named
                assert metadata(event) == metadata(text)


FALLBACKS = {
    "posthog, the first of two": "p",
    "ga4, the first of two": "i",
    "matomo, _id": "d",
    "cloudevents, the first of two": "u",
    "mixpanel, $user_id": "u",
    "mixpanel, $identified_id": "u",
    "mixpanel, distinct_id": "d",
    "segment, userId": "a",
    "snowplow, uid": "d",
}


@pytest.mark.parametrize(("name", "user"), FALLBACKS.items(), ids=FALLBACKS)
async def test_the_next_id_counts_in_place_of_one_that_is_nobodys(name: str, user: str) -> None:
    async with collector() as client:
        for value in ("null", *NOBODY):
            assert (await taken(IDS[name], client, value)).user_id == user
        event = await taken(IDS["snowplow, duid"], client, "true")
        assert metadata(event)["$anonymous_id"] == "n"


EVENT_IDS = {
    name: message
    for name, message in IDS.items()
    if name.endswith(("messageId", " uuid", "insert_id", "eid")) and "whose" not in name
}
OWN = "0193F0AA-6ad7-5f5c-9c0e-5d7a4c1b2e90"


@pytest.mark.parametrize("name", EVENT_IDS)
async def test_a_uuid_is_one_event_in_any_case(name: str) -> None:
    async with collector() as client:
        spellings = OWN, OWN.lower(), OWN.upper()
        events = [await taken(EVENT_IDS[name], client, f'"{own}"') for own in spellings]
        assert len({event.id for event in events}) == 1
        assert {metadata(event).get("$id", OWN.lower()) for event in events} == {OWN.lower()}
        assert {event.former for event in events} <= {None, UUID(OWN)}
        other = await taken(EVENT_IDS[name], client, f'"{OWN[:-1]}1"')
        assert other.id != events[0].id


@pytest.mark.parametrize("own", ["undefined", "NULL", " NaN ", "[object Object]", str(UUID(int=0))])
@pytest.mark.parametrize("name", EVENT_IDS)
async def test_a_placeholder_is_no_id_of_an_event(name: str, own: str) -> None:
    async with collector() as client:
        absent = await taken(EVENT_IDS[name], client, "null")
        one, other = [await taken(EVENT_IDS[name], client, f'"{own}"') for _ in range(2)]
        assert one.id != other.id
        assert (one.named, one.former) == (other.named, other.former) == (False, None)
        assert columns_of(one) == columns_of(absent)
        assert metadata(one) == metadata(absent)


@pytest.mark.parametrize("own", ["0", "00", "-0", "0.0", "42"])
@pytest.mark.parametrize("name", EVENT_IDS)
async def test_a_number_is_an_id_of_an_event_though_it_is_zero(name: str, own: str) -> None:
    async with collector() as client:
        one, other = [await taken(EVENT_IDS[name], client, f'"{own}"') for _ in range(2)]
        assert one.id == other.id
        assert (one.named, metadata(one)["$id"]) == (True, own)


ODD: dict[str, Message] = {
    "segment, properties": Message("/v1/track", {"event": "e", "properties": HERE}),
    "segment, traits": Message("/v1/identify", {"userId": "u", "traits": HERE}),
    "segment, context": Message("/v1/track", {"event": "e", "context": HERE}),
    "segment, page": Message("/v1/track", {"event": "e", "context": {"page": HERE}}),
    "segment, library": Message("/v1/track", {"event": "e", "context": {"library": HERE}}),
    "posthog, properties": Message("/e/", {"event": "e", "distinct_id": "u", "properties": HERE}),
    "amplitude, event_properties": Message(
        "/2/httpapi", {"events": [{"event_type": "e", "event_properties": HERE}]}
    ),
    "amplitude, user_properties": Message(
        "/2/httpapi", {"events": [{"event_type": "e", "user_properties": HERE}]}
    ),
    "amplitude, library": Message("/2/httpapi", {"events": [{"event_type": "e", "library": HERE}]}),
    "mixpanel, properties": Message("/track", {"event": "e", "properties": HERE}),
    "mixpanel, an operation": Message("/engage", {"$distinct_id": "u", "$set": HERE}),
    "plausible, props": Message("/api/event", {"n": "e", "u": "/", "d": "x", "p": HERE}),
    "umami, payload": Message("/api/send", {"type": "event", "payload": HERE}),
    "umami, data": Message("/api/send", {"type": "event", "payload": {"name": "e", "data": HERE}}),
    "snowplow, co": Message(SNOWPLOW, {"data": [{"e": "pv", "co": HERE}]}),
    "ga4, params": Message(GA4, {"client_id": "c", "events": [{"name": "e", "params": HERE}]}),
    "cloudevents, data": Message(
        "/cloudevents", {"id": "1", "source": "/s", "type": "e", "data": HERE}, CLOUD
    ),
}
"""An object of each product, in whose place something else may stand."""


@pytest.mark.parametrize("name", ODD)
async def test_what_should_be_an_object_and_is_none_stays_in_metadata(name: str) -> None:
    async with collector() as client:
        event = await taken(ODD[name], client, '["odd"]')
        assert b'["odd"]' in event.metadata


INNER = '{"a": "caf\0", "b": [1.50, NaN]}'
CONTEXT = f'{{"data": [{INNER}]}}'
EVENT = f'{{"data": {{"schema": "iglu:a/e/jsonschema/1-0-0", "data": {INNER}}}}}'
MIXPANEL = f'{{"event": "e\0", "properties": {INNER}}}'
EMBEDDED: dict[str, tuple[str, Any]] = {
    "plausible": ("/api/event", {"n": "e", "u": "/", "d": "x", "p": INNER}),
    "plausible, revenue": ("/api/event", {"n": "e", "u": "/", "d": "x", "$": INNER}),
    "snowplow, ue_pr": (SNOWPLOW, {"data": [{"e": "ue", "ue_pr": EVENT}]}),
    "snowplow, co": (SNOWPLOW, {"data": [{"e": "pv", "co": CONTEXT}]}),
    "snowplow, ue_px": (
        SNOWPLOW,
        {"data": [{"e": "ue", "ue_px": base64.urlsafe_b64encode(EVENT.encode()).decode()}]},
    ),
    "snowplow, cx": (
        SNOWPLOW,
        {"data": [{"e": "pv", "cx": base64.b64encode(CONTEXT.encode()).decode()}]},
    ),
    "mixpanel, a form": ("/track", {"data": MIXPANEL}),
    "mixpanel, base64": ("/track", {"data": base64.b64encode(MIXPANEL.encode()).decode()}),
}
"""JSON in JSON, in a form or in base64, as each product's libraries wrap it."""


@pytest.mark.parametrize(("path", "body"), EMBEDDED.values(), ids=EMBEDDED)
async def test_json_in_json_is_read_though_a_nul_stands_in_it(path: str, body: Any) -> None:
    content = urlencode(body) if path == "/track" else json.dumps(body)
    async with collector() as client:
        answer = await client.send_events(content.encode(), path)
        assert answer.headers["x-analytics"].startswith("1 mended: ")
        [event] = client.sink.events
        assert '"a":"caf\ufffd","b":[1.5,"NaN"]'.encode() in event.metadata
