"""The native protocol: what is a valid event, and how faults are named."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from analytics.errors import BadRequest, TooLarge
from analytics.events import Event, event_id
from analytics.protocols import native, protocol, validate
from analytics.protocols.protocol import Decoded
from tests.bodies import GOOD, NOW, UUID_TEXT, decode, event, fault_of, incoming


def test_an_event_carries_every_field() -> None:
    assert event(
        user_id="u1",
        metadata={"page": "/pricing"},
        timestamp="2026-11-23T13:00:00.123Z",
        id=UUID_TEXT,
    ) == Event(
        project="p",
        id=UUID(UUID_TEXT),
        session_id="s1",
        user_id="u1",
        event_type="engagement",
        event_action="click",
        metadata=b'{"page": "/pricing"}',
        timestamp=datetime(2026, 11, 23, 13, 0, 0, 123000, tzinfo=UTC),
        created_at=NOW,
        named=True,
    )


def test_what_is_absent_has_a_meaning() -> None:
    bare = event(user_id=None, metadata=None, timestamp=None, id=None)
    assert (bare.user_id, bare.metadata, bare.timestamp, bare.created_at, bare.named) == (
        None,
        b"{}",
        NOW,
        NOW,
        False,
    )
    assert bare.id.version == 7


SHAPES = {
    "an event": (GOOD, 1),
    "a list": ([GOOD, GOOD], 2),
    "an envelope": ({"events": [GOOD, GOOD, GOOD], "sent_at": None, "write_key": None}, 3),
    "an envelope that looks like an event too": (GOOD | {"events": [GOOD, GOOD]}, 2),
    "an envelope with a bad event beside": ({"session_id": 5, "events": [GOOD]}, 1),
    "space around": (b" \r\n\t" + json.dumps([GOOD]).encode() + b"\n", 1),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), 1),
    "unknown fields": (GOOD | {"zz": {"a": [1]}, "v": 2}, 1),
    "an unknown field that could not be stored": (GOOD | {"zz": "\x00"}, 1),
    "a field named in escapes": (
        b'{"session\\u005fid":"s","event_type":"t","event_action":"a"}',
        1,
    ),
    "duplicates, the last good": (
        b'{"session_id":5,"session_id":"s","event_type":"t","event_action":"a"}',
        1,
    ),
    "an unknown field, 100,000 levels deep": (
        b'{"session_id":"s","event_type":"t","event_action":"a","zz":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}",
        1,
    ),
}


@pytest.mark.parametrize(("body", "events"), SHAPES.values(), ids=SHAPES.keys())
def test_a_body_is_an_event_a_list_or_an_envelope(body: Any, events: int) -> None:
    decoded = decode(body)
    assert (len(decoded.events), len(decoded.rejected)) == (events, 0)


UNREADABLE = {
    "nothing": (b"", "not_json"),
    "no JSON": (b"session_id=s1", "not_json"),
    "half of it": (b'[{"session_id":', "not_json"),
    "something after it": (json.dumps(GOOD).encode() + b"x", "not_json"),
    "bad UTF-8 outside of strings": (b'{"session_id":"s"\xff,"event_type":"t"}', "not_json"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), "not_json"),
    "a control character": (
        b'{"session_id":"a\nb","event_type":"t","event_action":"a"}',
        "not_json",
    ),
    "a NUL byte": (b'{"session_id":"a\x00","event_type":"t","event_action":"a"}', "not_json"),
    "100,000 brackets": (b"[" * 100_000, "not_json"),
    "a number": (b"5", "wrong_type"),
    "null": (b"null", "wrong_type"),
    "a string": (b'"x"', "wrong_type"),
    "an empty list": (b"[]", "empty_batch"),
    "an empty envelope": (b'{"events":[]}', "empty_batch"),
    "events that are no list": (b'{"events":{}}', "wrong_type"),
    "events that are null": (b'{"events":null}', "wrong_type"),
    "a key that is no string": (b'{"events":[{}],"write_key":5}', "wrong_type"),
    "sent_at without offset": (b'{"events":[{}],"sent_at":"2026-11-23T14:00:00"}', "bad_timestamp"),
    "sent_at beyond calendars": (b'{"events":[{}],"sent_at":1e300}', "bad_timestamp"),
    "sent_at that is a lone surrogate": (b'{"events":[{}],"sent_at":"\\ud800"}', "bad_timestamp"),
    "sent_at that is true": (b'{"events":[{}],"sent_at":true}', "bad_timestamp"),
}


@pytest.mark.parametrize(("body", "code"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_cannot_be_judged_is_refused_as_a_whole(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode(body)
    assert refused.value.code == code


FAULTS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "no session_id": ({"session_id": None}, "missing", "session_id"),
    "no event_type": ({"event_type": None}, "missing", "event_type"),
    "no event_action": ({"event_action": None}, "missing", "event_action"),
    "a number for session_id": ({"session_id": 5}, "wrong_type", "session_id"),
    "a number for user_id": ({"user_id": 5}, "wrong_type", "user_id"),
    "an object for event_type": ({"event_type": {}}, "wrong_type", "event_type"),
    "empty session_id": ({"session_id": ""}, "too_short", "session_id"),
    "empty event_type": ({"event_type": ""}, "too_short", "event_type"),
    "empty event_action": ({"event_action": ""}, "too_short", "event_action"),
    "empty user_id": ({"user_id": ""}, "too_short", "user_id"),
    "long session_id": ({"session_id": "x" * 65}, "too_long", "session_id"),
    "long event_type": ({"event_type": "x" * 101}, "too_long", "event_type"),
    "long event_action": ({"event_action": "x" * 256}, "too_long", "event_action"),
    "long user_id": ({"user_id": "x" * 256}, "too_long", "user_id"),
    "long id": ({"id": "x" * 256}, "too_long", "id"),
    "a number for id": ({"id": 5}, "bad_id", "id"),
    "an empty id": ({"id": ""}, "bad_id", "id"),
    "NUL in session_id": ({"session_id": "a\x00"}, "bad_character", "session_id"),
    "NUL in user_id": ({"user_id": "\x00"}, "bad_character", "user_id"),
    "NUL in id": ({"id": "a\x00b"}, "bad_character", "id"),
    "a lone surrogate in event_type": ({"event_type": "\ud800"}, "bad_character", "event_type"),
    "a lone surrogate in event_action": (
        {"event_action": "a\udfff"},
        "bad_character",
        "event_action",
    ),
}


@pytest.mark.parametrize(("fields", "code", "field"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_field(
    fields: dict[str, Any], code: str, field: str | None
) -> None:
    assert fault_of(**fields) == (code, field)


@pytest.mark.parametrize(
    ("item", "field", "what"),
    [
        (b'{"session_id":"a\\ud83d"', "session_id", "session_id has a lone surrogate (U+D83D)"),
        (b'{"session_id":"a\\u0000"', "session_id", "session_id has a NUL (U+0000)"),
        (
            b'{"session_id":"a\xe9"',
            "session_id",
            "session_id has a byte that is not UTF-8 (0xE9) or a lone surrogate (U+DCE9)",
        ),
        (
            b'{"session_id":"s","metadata":{"k":["a","a\xc0\x80"]}',
            "metadata.k",
            "this value has a byte that is not UTF-8 (0xC0) or a lone surrogate (U+DCC0)",
        ),
        (
            b'{"session_id":"s","metadata":{"k\\udfff":1}',
            "metadata",
            "a key of metadata has a lone surrogate (U+DFFF)",
        ),
    ],
)
def test_a_bad_character_is_told_with_its_place_and_costs_only_its_event(
    item: bytes, field: str, what: str
) -> None:
    bad = item + b',"event_type":"t","event_action":"a"}'
    decoded = decode(b'{"events":[%b,%b]}' % (json.dumps(GOOD).encode(), bad))
    assert len(decoded.events) == 1
    [verdict] = decoded.rejected
    assert (verdict.index, verdict.code, verdict.field) == (1, "bad_character", field)
    assert verdict.message == f"{what} as character 2"
    assert decoded.mended == {}


@pytest.mark.parametrize("item", [5, None, "x", [], True, [GOOD]])
def test_what_is_no_object_is_no_event(item: Any) -> None:
    decoded = decode([GOOD, item])
    assert len(decoded.events) == 1
    assert [(v.index, v.code, v.field) for v in decoded.rejected] == [(1, "wrong_type", None)]


@pytest.mark.parametrize(
    ("field", "most"),
    [("session_id", 64), ("event_type", 100), ("event_action", 255), ("user_id", 255), ("id", 255)],
)
def test_length_is_counted_in_code_points(field: str, most: int) -> None:
    for character in ("x", "é", "😀"):
        longest: dict[str, Any] = {field: character * most}
        longer: dict[str, Any] = {field: character * (most + 1)}
        assert event(**longest)
        assert fault_of(**longer) == ("too_long", field)


def test_in_a_batch_the_valid_go_on_and_the_others_are_named_by_index() -> None:
    bad = GOOD | {"session_id": "x" * 65}
    decoded = decode(
        [GOOD, bad, GOOD, 5, GOOD | {"metadata": {"a": "\x00"}}, GOOD | {"timestamp": "yesterday"}]
    )
    assert len(decoded.events) == 2
    assert [(v.index, v.code, v.field) for v in decoded.rejected] == [
        (1, "too_long", "session_id"),
        (3, "wrong_type", None),
        (4, "bad_character", "metadata.a"),
        (5, "bad_timestamp", "timestamp"),
    ]


def test_one_id_is_one_event_in_any_case() -> None:
    assert event(id=UUID_TEXT.lower()).id == event(id=UUID_TEXT.upper()).id == UUID(UUID_TEXT)
    assert event(id="order-17").id == event_id("order-17")
    assert event(id="order-17").id == UUID("49c0c14b-8781-5f72-877d-c3ec6840d3cf"), (
        "the namespace is fixed for ever"
    )


def test_a_key_is_found_in_the_body_then_in_either_header() -> None:
    body = json.dumps(GOOD).encode()
    both: dict[str, Any] = {"x_write_key": "x", "authorization": "Bearer b"}
    assert native.read(
        incoming(json.dumps({"events": [GOOD], "write_key": "w"}).encode(), **both)
    ).keys == ("w",)
    assert native.read(incoming(body, **both)).keys == ("x",)
    assert native.read(incoming(body, authorization="bearer  b")).keys == ("b",)
    assert native.read(incoming(body, authorization="Basic b")).keys == (None,)
    assert native.read(incoming(body)).keys == (None,)


def test_no_body_holds_more_events_than_a_request_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_REQUEST_EVENTS", 3)
    assert decode([GOOD] * 3)
    with pytest.raises(TooLarge):
        decode([GOOD] * 4)
    with pytest.raises(TooLarge):
        decode([5] * 4)


def test_metadata_is_measured_as_it_is_stored() -> None:
    def fault(text: str, most: int) -> tuple[str, str | None] | None:
        body = b'{"session_id":"s","event_type":"t","event_action":"a","metadata":%b}'
        judged = native.decode(body % text.encode(), NOW, project="p", max_event_bytes=most)
        if judged.events:
            assert len(judged.events[0].metadata) <= max(most, len(text.encode()))
            return None
        return judged.rejected[0].code, judged.rejected[0].field

    sent = ['{"a":"é"}', '{ "a" :\n\t"é" }', '{"a":"\\u00e9"}', '{"\\u0061":"\\u00E9"}']
    for text in sent:
        assert fault(text, 10) is None, text
        assert fault(text, 9) == ("too_long", "metadata"), text
    assert fault("{}", 2) is None
    assert fault('{"a":' + " " * 300_000 + "1}", 262_144) is None
    assert fault('{"a":"%s"}' % ("x" * 262_136), 262_144) is None
    assert fault('{"a":"%s"}' % ("x" * 262_137), 262_144) == ("too_long", "metadata")


def test_of_very_many_rejections_a_reply_names_the_first_hundred_and_counts_all() -> None:
    for items, status in (([GOOD] + [{}] * 250, 202), ([{}] * 250, 400)):
        reply = native.accept(incoming(b""), judged := decode(items), judged.events)
        answer = json.loads(reply.body)
        assert (reply.status, answer["rejected_total"]) == (status, 250)
        first = len(items) - 250
        assert [verdict["index"] for verdict in answer["rejected"]] == [*range(first, first + 100)]


def test_a_body_of_nothing_but_brackets_is_not_taken_apart() -> None:
    with pytest.raises(TooLarge):
        decode(b"[" + b"{}," * 1_000_000 + b"{}]")


def test_a_good_batch_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Decoded:
        raise AssertionError("the careful way was taken")

    monkeypatch.setattr(validate, "draft", refuse)
    full = GOOD | {
        "metadata": {"price": 12.5, "hash": "ab12e4567"},
        "timestamp": "2026-11-23T13:00:00+01:00",
        "id": "x",
        "user_id": "u",
    }
    assert decode(full).events
    assert decode([full] * 100).events
    assert decode({"sent_at": "2026-11-23T10:00:00Z", "events": [full] * 100}).events
