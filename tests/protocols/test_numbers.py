"""Numbers: one canonical form with every digit, from whatever says so."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.protocols import metadata, native, numbers
from analytics.protocols.numbers import Unfit
from tests.bodies import GOOD, NOW, decode
from tests.collecting import Client
from tests.examples import examples
from tests.protocols.captured import collector
from tests.protocols.captured import metadata as metadata_of

CANONICAL = {
    "30": "30",
    "30.0": "30",
    "30.00": "30",
    "3e1": "30",
    "3E+1": "30",
    "300e-1": "30",
    "0.30e2": "30",
    "-30.0": "-30",
    "0": "0",
    "-0": "0",
    "-0.0": "0",
    "-0.000": "0",
    "0e5": "0",
    "12.5": "12.5",
    "12.50": "12.5",
    "1250e-2": "12.5",
    "-0.10": "-0.1",
    "12345678901234567890": "12345678901234567890",
    "12345678901234567890.0": "12345678901234567890",
    "-123456789012345678901234567890.10": "-123456789012345678901234567890.1",
    "0.1234567890123456789012345678901234567890": "0.123456789012345678901234567890123456789",
    "9007199254740993.0": "9007199254740993",
    "1e22": "10000000000000000000000",
    "0." + "1" * 90 + "0": "0." + "1" * 90,
    "1" * 99 + ".0": "1" * 99,
}


def stored(text: str) -> str:
    """A number as the fast way of our own protocol stores it."""
    body = json.dumps(GOOD)[:-1] + f', "metadata": {{"n":{text}}}}}'
    [event] = native.decode(body.encode(), NOW, project="p").events
    assert event.metadata.startswith(b'{"n":'), event.metadata
    return event.metadata[5:-1].decode()


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items(), ids=lambda text: text[:30])
def test_a_number_has_one_form(text: str, canonical: str) -> None:
    if text != "-0":  # which any reader takes for 0
        assert stored(text) == canonical
    assert metadata.encode(metadata.parse(text)).decode() == canonical
    assert metadata.encode(numbers.of(text)).decode() == canonical


def test_a_number_is_the_same_number_afterwards_and_no_body_grows_out_of_bounds() -> None:
    for text in ("1e300", "-1.50e300", "1e-7", "5e-324", "1e-400", "1.7976931348623157e308"):
        kept = stored(text)
        assert Decimal(kept) == Decimal(text)
        assert len(kept) <= len(text) + numbers.MAX_ADDED_DIGITS


@examples(500)
@given(
    st.integers(-(10**30), 10**30),
    st.text("0123456789", max_size=30),
    st.none() | st.integers(-40, 40),
    st.sampled_from("eE"),
)
def test_every_spelling_of_a_number_is_that_number_in_that_form(
    whole: int, decimals: str, power: int | None, letter: str
) -> None:
    text = f"{whole}{'.' + decimals if decimals else ''}"
    text += "" if power is None else f"{letter}{power}"
    kept = stored(text)
    exact = Decimal(text)
    assert Decimal(kept) == exact
    assert metadata.encode(metadata.parse(text)).decode() == kept
    if "E" not in kept:
        plain = f"{exact:f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        assert kept == ("0" if exact == 0 else plain)


def test_a_body_is_rewritten_only_where_it_holds_such_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(text: bytes) -> bytes:
        raise AssertionError(text)

    monkeypatch.setattr(metadata, "canonical", refuse)
    values = {
        "a": 30,
        "b": 12.5,
        "c": "30.0",
        "d": "1e5",
        "e": "https://a.example/1.50?v=2.0",
        "f": 10,
    }
    body = json.dumps(GOOD | {"metadata": values}).encode()
    [event] = native.decode(body, NOW, project="p").events
    assert json.loads(event.metadata) == values


def test_numbers_in_text_stay_text() -> None:
    values = {"a": "30.0", "b": [30.0, "x, 3.0, 1e5, "], "3.0": '"3.0,'}
    body = json.dumps(GOOD | {"metadata": values}).encode()
    [event] = native.decode(body, NOW, project="p").events
    assert event.metadata == b'{"a":"30.0","b":[30,"x, 3.0, 1e5, "],"3.0":"\\"3.0,"}'


def test_a_whole_envelope_is_rewritten_whatever_is_refused_of_it() -> None:
    bad = GOOD | {"metadata": {"n": 3.0}, "session_id": "x" * 65}
    events = [GOOD | {"metadata": {"n": 3.0, "s": "é"}}, bad, GOOD | {"metadata": None}]
    decoded = decode({"events": events})
    assert [event.metadata for event in decoded.events] == ['{"n":3,"s":"é"}'.encode(), b"{}"]
    assert [rejection.index for rejection in decoded.rejected] == [1]


@pytest.mark.parametrize(
    "text",
    ["", "007", "+5", ".5", "5.", "1,5", "12,50", "NaN", "Infinity", "-", "1e", "0x10", "1_000",
     " 5", "5 ", "٣", "true", "null", "1e999", "-1e999", "1e-999", "9" * 401],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_no_number_stays_text(text: str) -> None:
    assert numbers.of(text) == text


@pytest.mark.parametrize(
    "value",
    [None, True, 5, Decimal("1.5"), ["1.0"], {"a": "1.0"}, Unfit("wrong_type", "is NaN", "NaN")],
)
def test_what_is_no_text_stays_as_it_is(value: Any) -> None:
    assert numbers.of(value) is value


Send = Callable[[Client, Any], Awaitable[object]]


async def _matomo(client: Client, fields: Any) -> object:
    return await client.get("/matomo.php", params={"idsite": 1, "rec": 1, **fields})


async def _snowplow(client: Client, fields: Any) -> object:
    body = {"data": [{"aid": "a", **fields}]}
    return await client.send_events(body, "/com.snowplowanalytics.snowplow/tp2")


async def _plausible(client: Client, fields: Any) -> object:
    body = {"n": "buy", "u": "https://shop.example/", "d": "shop.example", **fields}
    return await client.send_events(body, "/api/event")


async def _amplitude(client: Client, fields: Any) -> object:
    events = [{"event_type": "buy", "device_id": "d", **fields}]
    return await client.send_events({"api_key": "k", "events": events}, "/2/httpapi")


async def _ga4(client: Client, params: Any) -> object:
    body = {"client_id": "c", "events": [{"name": "buy", "params": params}]}
    return await client.send_events(body, "/mp/collect")


async def _segment(client: Client, properties: Any) -> object:
    call = {"userId": "u", "event": "buy", "properties": properties}
    return await client.send_events(call, "/v1/track")


async def _umami(client: Client, data: Any) -> object:
    payload = {"website": "w", "name": "buy", "data": data}
    return await client.send_events({"type": "event", "payload": payload}, "/api/send")


async def _pixel(client: Client, fields: Any) -> object:
    query = urlencode(GOOD | {f"metadata.{name}": value for name, value in fields.items()})
    return await client.get(f"/collect.gif?{query}")


FIELDS: dict[str, tuple[Send, dict[str, Any], dict[str, Any]]] = {
    "Matomo's event": (_matomo, {"e_a": "a", "e_v": "30.0"}, {"value": 30}),
    "Matomo's goal": (_matomo, {"idgoal": 1, "revenue": "12.50"}, {"revenue": 12.5}),
    "Matomo's search": (_matomo, {"search": "x", "search_count": "3"}, {"count": 3}),
    "Matomo's order": (
        _matomo,
        {"ec_id": "1001", "revenue": "30.0", "ec_st": "25.00", "ec_tx": "5", "ec_sh": "x"},
        {"order": "1001", "revenue": 30, "$ec_st": 25, "$ec_tx": 5, "$ec_sh": "x"},
    ),
    "Snowplow's event": (_snowplow, {"e": "se", "se_ac": "a", "se_va": "2.0"}, {"value": 2}),
    "Snowplow's order": (
        _snowplow,
        {"e": "tr", "tr_id": "007", "tr_tt": "12.50", "tr_tx": "1e1", "tr_sh": "12,50"},
        {"$tr_id": "007", "$tr_tt": 12.5, "$tr_tx": 10, "$tr_sh": "12,50"},
    ),
    "Snowplow's item": (
        _snowplow,
        {"e": "ti", "ti_sk": "42", "ti_pr": "9.90", "ti_qu": "2"},
        {"$ti_sk": "42", "$ti_pr": 9.9, "$ti_qu": 2},
    ),
    "Snowplow's ping": (_snowplow, {"e": "pp", "pp_miy": "0", "pp_may": "880"}, {"$pp_may": 880}),
    "Plausible's amount": (
        _plausible,
        {"$": {"amount": "12.50", "currency": "EUR"}},
        {"$revenue": {"amount": 12.5, "currency": "EUR"}},
    ),
    "Plausible's revenue in text": (
        _plausible,
        {"revenue": '{"amount": "12.50", "currency": "EUR"}'},
        {"$revenue": {"amount": 12.5, "currency": "EUR"}},
    ),
    "Plausible's bare amount": (_plausible, {"$": "12.50", "e": "900"}, {"$revenue": 12.5}),
    "Plausible's no number": (_plausible, {"$": "NaN"}, {"$revenue": "NaN"}),
    "Amplitude's price": (
        _amplitude,
        {"price": "9.90", "quantity": "2", "revenue": "1e999"},
        {"$price": 9.9, "$quantity": 2, "$revenue": "1e999"},
    ),
    "Amplitude's properties": (
        _amplitude,
        {"event_properties": {"$price": "9.90", "plan": "12"}},
        {"$price": 9.9, "plan": "12"},
    ),
    "GA4's value": (
        _ga4,
        {"value": "12.50", "engagement_time_msec": "100", "items": [{"price": "9", "sku": "9"}, 5]},
        {"value": 12.5, "engagement_time_msec": 100, "items": [{"price": 9, "sku": "9"}, 5]},
    ),
    "GA4's NaN": (_ga4, {"value": float("nan"), "tax": float("inf")}, {"value": "NaN"}),
    "Segment's revenue": (
        _segment,
        {"revenue": "12.50", "sku": "9"},
        {"revenue": 12.5, "sku": "9"},
    ),
    "Umami's revenue": (_umami, {"revenue": "12.50", "sku": "9"}, {"revenue": 12.5, "sku": "9"}),
    "the pixel's": (_pixel, {"price": "12.50", "zip": "007"}, {"price": 12.5, "zip": "007"}),
}


@pytest.mark.parametrize(("send", "fields", "kept"), FIELDS.values(), ids=FIELDS)
async def test_a_field_that_a_protocol_calls_a_number_is_one_though_it_came_as_text(
    send: Send, fields: dict[str, Any], kept: dict[str, Any]
) -> None:
    async with collector() as client:
        await send(client, fields)
        [event] = client.sink.events
    found = metadata_of(event)
    assert {name: found.get(name) for name in kept} == kept


async def _ga4_item(client: Client, fields: Any) -> object:
    return await _ga4(client, {"items": [fields]})


async def _amplitude_properties(client: Client, properties: Any) -> object:
    return await _amplitude(client, {"event_properties": properties})


NUMBERS: dict[str, tuple[Send, str]] = {
    "Matomo": (
        _matomo,
        "revenue e_v search_count ec_st ec_tx ec_sh ec_dt _pkp _idvc gt_ms pf_net pf_srv pf_tfr"
        " pf_dm1 pf_dm2 pf_onl bw_bytes ma_le ma_ps ma_ttp ma_w ma_h",
    ),
    "Snowplow": (
        _snowplow,
        "se_va tr_tt tr_tx tr_sh ti_pr ti_qu pp_mix pp_max pp_miy pp_may vid cd",
    ),
    "Plausible": (_plausible, "screen_width version engagement_time scroll_depth revenue"),
    "Amplitude": (_amplitude, "price quantity revenue location_lat location_lng"),
    "Amplitude's properties": (_amplitude_properties, "$price $quantity $revenue"),
    "GA4": (_ga4, "value tax shipping engagement_time_msec ga_session_number"),
    "GA4's items": (_ga4_item, "price quantity discount index"),
    "Segment": (_segment, "revenue value"),
    "Umami": (_umami, "revenue"),
}
"""All fields that each protocol calls numbers, as docs/sdks/ names them."""


@pytest.mark.parametrize(("send", "names"), NUMBERS.values(), ids=NUMBERS)
async def test_each_field_that_a_protocol_calls_a_number_is_one(send: Send, names: str) -> None:
    fields = {name: f"{number}.50" for number, name in enumerate(names.split(), 1000)}
    async with collector() as client:
        await send(client, {"e": "x", **fields} if send is _snowplow else fields)
        [event] = client.sink.events
    for name, value in fields.items():
        assert f":{value.rstrip('0')}".encode() in event.metadata, name


IDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Segment's": ("/v1/track", {"userId": 42.0, "messageId": 7.0, "event": "e"}),
    "Amplitude's": (
        "/2/httpapi",
        {"api_key": "k", "events": [{"event_type": "e", "user_id": 42.0, "insert_id": 7.0}]},
    ),
    "Mixpanel's": (
        "/track",
        {"event": "e", "properties": {"token": "t", "distinct_id": 42.0, "$insert_id": 7.0}},
    ),
    "PostHog's": ("/e", {"api_key": "k", "event": "e", "distinct_id": 42.0, "uuid": 7.0}),
    "Umami's": ("/api/send", {"type": "event", "payload": {"website": "w", "id": 42.0}}),
    "GA4's": ("/mp/collect", {"user_id": 42.0, "events": [{"name": "e"}]}),
}


@pytest.mark.parametrize(("path", "body"), IDS.values(), ids=IDS)
async def test_an_id_that_came_as_a_number_takes_the_same_form(
    path: str, body: dict[str, Any]
) -> None:
    async with collector() as client:
        as_whole = json.dumps(body).replace("42.0", "42").replace("7.0", "7").encode()
        for text in (json.dumps(body).encode(), as_whole):
            await client.send_events(text, path)
        first, second = client.sink.events
    assert first.user_id == second.user_id == "42"
    assert (first.id == second.id) is (first.named or second.named)
