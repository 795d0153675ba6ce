"""What holds in every protocol that sends many events at once."""

import gzip
import json
import uuid
from typing import Any

import pytest

from analytics.protocols.pixel import GIF
from analytics.protocols.protocol import MAX_INDICES, MAX_NAMED
from tests.collecting import GOOD
from tests.protocols.bulks import BULKS, names, verdicts
from tests.protocols.captured import collector


def ids(count: int) -> list[str]:
    return [str(uuid.UUID(int=number + 1)) for number in range(count)]


@pytest.mark.parametrize("name", BULKS)
async def test_each_event_goes_by_its_own_key_though_the_first_has_none(name: str) -> None:
    bulk = BULKS[name]
    keys = (None, "shop-token", "ak_w_old", None, "shop-token")
    async with collector("shop-token") as client:
        events = [bulk.event(f"e{n}", keys[n], id_) for n, id_ in enumerate(ids(5))]
        status, answer = await bulk.send(client, *events)
        assert status == 200
        assert verdicts(name, answer) == [2]
        assert names(client) == [
            ("default", "e0"),
            ("shop", "e1"),
            ("default", "e3"),
            ("shop", "e4"),
        ]


@pytest.mark.parametrize("name", BULKS)
async def test_where_keys_are_required_an_event_without_one_costs_none_of_the_others(
    name: str,
) -> None:
    bulk = BULKS[name]
    async with collector("shop-token", require_write_key=True) as client:
        first, second = ids(2)
        events = bulk.event("keyless", None, first), bulk.event("keyed", "shop-token", second)
        status, answer = await bulk.send(client, *events)
        assert (status, verdicts(name, answer)) == (200, [0])
        assert names(client) == [("shop", "keyed")]
        assert (await bulk.send(client, events[0]))[0] in (400, 401)


NAMES = {"a cut emoji": "caf\ud83d", "a NUL": "caf\0", "a byte": "caf\udce9"}


@pytest.mark.parametrize("bad", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("name", BULKS)
async def test_one_bad_character_is_replaced_and_costs_no_event(name: str, bad: str) -> None:
    bulk = BULKS[name]
    async with collector() as client:
        given = [
            bulk.event(action, None, id_) for action, id_ in zip(["e", bad], ids(2), strict=True)
        ]
        body = json.dumps(bulk.body(given))
        answer = await client.send_events(
            body.replace("\\udce9", "é").encode("latin-1" if "\\udce9" in body else "utf-8"),
            bulk.path,
            **bulk.headers,
        )
        assert answer.status_code == 200
        assert answer.headers["x-analytics"] == "1 mended: bad_character"
        assert "rejected" not in answer.text
        assert names(client) == [("default", "e"), ("default", "caf\ufffd")]


@pytest.mark.parametrize("name", ["segment", "amplitude", "snowplow", "cloudevents"])
async def test_ids_that_mending_would_make_equal_stay_two(name: str) -> None:
    bulk = BULKS[name]
    async with collector() as client:
        given = [bulk.event("e", None, id_) for id_ in ("i\ud83d", "i\ud83e", "i\ud83d")]
        assert (await bulk.send(client, *given))[0] == 200
        first, second, again = client.sink.events
        assert first.id == again.id != second.id
        assert (first.named, json.loads(first.metadata)["$id"][:2]) == (True, "i\ufffd")
        assert first.former is None


SINGLES: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "plausible": ("POST", "/api/event", {"n": "caf\ud83d", "u": "/", "d": "x"}, {}),
    "umami": ("POST", "/api/send", {"type": "event", "payload": {"name": "caf\ud83d"}}, {}),
    "ga4": (
        "POST",
        "/mp/collect?measurement_id=1&api_secret=2",
        {"client_id": "1", "events": [{"name": "caf\ud83d"}]},
        {},
    ),
    "a form": (
        "POST",
        "/track",
        b"data=%7B%22event%22%3A%22caf%E9%22%2C%22properties%22%3A%7B%7D%7D",
        {},
    ),
    "matomo, a query": ("GET", "/matomo.php?idsite=1&rec=1&e_c=c&e_a=caf%E9", b"", {}),
    "snowplow, a query": ("GET", "/i?e=se&se_ca=c&se_ac=caf%00", b"", {}),
    "cloudevents, headers": (
        "POST",
        "/cloudevents",
        {"a": 1},
        {"ce-id": "1", "ce-source": "/s", "ce-type": "caf%E9", "content-type": "application/json"},
    ),
}


@pytest.mark.parametrize(("method", "path", "body", "headers"), SINGLES.values(), ids=SINGLES)
async def test_a_bad_character_is_replaced_however_it_comes(
    method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    async with collector() as client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await client.request(method, path, content=content, headers=headers)
        assert answer.status_code in (200, 202, 204)
        assert answer.headers["x-analytics"] == "1 mended: bad_character"
        assert names(client) == [("default", "caf\ufffd")]


@pytest.mark.parametrize("name", BULKS)
async def test_of_very_many_faults_a_reply_names_a_hundred_and_counts_all(name: str) -> None:
    bulk = BULKS[name]
    async with collector() as client:
        good, *bad = ids(251)
        given = [bulk.event("good", None, good)]
        given += [bulk.event("x" * 300, None, id_) for id_ in bad]
        status, answer = await bulk.send(client, *given)
        assert (status, names(client)) == (200, [("default", "good")])
        assert verdicts(name, answer) == [*range(1, 251 if name in COMPACT else 101)]
        if name not in COMPACT:
            assert answer["rejected_total"] == 250
        assert len(json.dumps(answer)) < 30_000
        status, answer = await bulk.send(client, *given[1:])
        if name != "posthog_v1":
            assert (status, answer["rejected_total"], len(answer["rejected"])) == (400, 250, 100)


def answered(name: str, answer: Any) -> int:
    """How many verdicts stand in the list that this product's library reads."""
    if name == "amplitude":
        return sum(map(len, answer["events_with_invalid_fields"].values()))
    return len(answer["results" if name == "posthog_v1" else "invalid_indices"])


@pytest.mark.parametrize("name", ["amplitude", "matomo", "posthog_v1"])
async def test_the_list_that_a_library_reads_is_whole_for_as_many_events_as_it_sends(
    name: str,
) -> None:
    bulk = BULKS[name]
    for count in (MAX_INDICES, MAX_INDICES + 1):
        async with collector() as client:
            good, *bad = ids(count + 1)
            given = [bulk.event("x" * 300, None, id_) for id_ in bad]
            if name == "matomo":  # which has its list only where one is good
                given.append(bulk.event("good", None, good))
            status, answer = await bulk.send(client, *given)
            assert status == (400 if name == "amplitude" else 200)
            assert answered(name, answer) == MAX_INDICES
            assert answer.get("invalid", count) == count
            assert ("missing_field" in answer) is (name == "amplitude" and count > MAX_INDICES)


@pytest.mark.parametrize("name", BULKS)
async def test_no_reply_is_large_whatever_was_sent(name: str) -> None:
    bulk = BULKS[name]
    named = [bulk.event("x" * 300, None, id_) for id_ in ids(5_000)]
    deep = json.loads("[" * 40 + "]" * 40)
    odd = {} if name == "matomo" else {"event": "e", "properties": {"\x01" * 100: deep}}
    most = MAX_INDICES * 100
    few = most if name == "posthog_v1" else MAX_NAMED * 400
    for events, allowed in (([{}] * 20_000, few), (named, few), ([odd] * 500, most)):
        async with collector() as client:
            body = gzip.compress(json.dumps(bulk.body(events)).encode())
            answer = await client.send_events(body, bulk.path, **bulk.headers)
            assert answer.status_code in (200, 400)
            assert len(answer.content) < allowed


async def test_ids_that_were_asked_for_are_fewer_bytes_than_their_events() -> None:
    small = {"session_id": "s", "event_type": "t", "event_action": "a"}
    body = json.dumps([small] * 50_000, separators=(",", ":")).encode()
    async with collector() as client:
        answer = await client.send_events(gzip.compress(body), "/collect?ids=1")
        assert len(answer.json()["ids"]) == 50_000
        assert len(answer.content) < len(body)


COMPACT = ("matomo", "posthog_v1")
"""Protocols whose answer has a word for every event, or a number for every refused one."""


@pytest.mark.parametrize("name", BULKS)
async def test_an_event_too_large_to_be_stored_is_refused_by_its_bytes(name: str) -> None:
    bulk = BULKS[name]
    async with collector(max_event_bytes=2_000) as client:
        large = bulk.event("large", None, ids(2)[1])
        if name == "matomo":
            large["dimension1"] = "x" * 2_000
        else:
            fields = large.get("payload") or large.get("properties") or large
            fields["dimension1"] = "x" * 2_000
        status, answer = await bulk.send(client, bulk.event("e", None, ids(2)[0]), large)
        assert (status, verdicts(name, answer)) == (200, [1])
        assert names(client) == [("default", "e")]
        if name not in COMPACT:
            assert (answer["rejected"][0]["code"], answer["rejected"][0]["field"]) == (
                "too_long",
                "metadata",
            )


PAGE = {"origin": "https://shop.example", "user_agent": "Googlebot/2.1"}


@pytest.mark.parametrize("name", BULKS)
async def test_what_was_dropped_is_counted_in_a_body_that_says_success(name: str) -> None:
    bulk = BULKS[name]
    async with collector() as client:
        given = [bulk.event("e", None, id_) for id_ in ids(2)]
        status, answer = await bulk.send(client, *given, **PAGE)
        assert (status, client.sink.events) == (200, [])
        assert answer["dropped"] == {"drop_bots": 2}
        assert [answer[count] for count in COUNTS if count in answer] == [0] * (name in COUNTING)
        for verdict in answer.get("results", {}).values():
            assert verdict == {"result": "warning", "details": "dropped"}
        status, answer = await bulk.send(client, *given)
        assert "dropped" not in answer
        assert [answer[count] for count in COUNTS if count in answer] == [2] * (name in COUNTING)
        for verdict in answer.get("results", {}).values():
            assert verdict == {"result": "ok", "details": None}


COUNTING = ("amplitude", "mixpanel_import", "umami", "matomo")
COUNTS = ("events_ingested", "num_records_imported", "processed", "tracked")
"""What these products call the number of events that they took in."""


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/collect", GOOD, {"accepted": 0, "rejected": [], "dropped": {"drop_bots": 1}}),
        (
            "POST",
            "/collect?ids=1",
            GOOD,
            {"accepted": 0, "rejected": [], "dropped": {"drop_bots": 1}, "ids": []},
        ),
        ("POST", "/api/event", {"n": "pageview", "u": "/", "d": "x"}, b"ok"),
        ("POST", "/track", {"event": "e", "properties": {}}, b"1"),
        ("POST", "/api/send", {"type": "event", "payload": {}}, b'{"beep":"boop"}'),
        ("GET", "/matomo.php?idsite=1&rec=1", b"", GIF),
        ("GET", "/i?e=pv", b"", GIF),
        ("GET", "/collect.gif?session_id=s&event_type=t&event_action=a", b"", GIF),
    ],
)
async def test_a_body_that_is_no_json_object_stays_what_libraries_expect(
    method: str, path: str, body: Any, said: Any
) -> None:
    async with collector() as client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in PAGE.items()}
        answer = await client.request(method, path, content=content, headers=headers)
        assert (answer.content if isinstance(said, bytes) else answer.json()) == said
        assert answer.headers["x-analytics"] == "1 dropped: drop_bots"
        assert ("x-plausible-dropped" in answer.headers) is (path == "/api/event")
        assert client.sink.events == []
