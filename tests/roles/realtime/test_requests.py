"""What readers send: three kinds of requests within their limits, and nothing else."""

import json
from typing import Any

import msgspec
import pytest

from analytics.roles.realtime.requests import (
    NOT_A_REQUEST,
    AuthRequest,
    SubscribeRequest,
    UnsubscribeRequest,
    decode,
    id_in,
    in_words,
)

SUBSCRIBE = {"type": "subscribe", "id": "a", "channel": "events"}


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('{"type":"auth","key":"k"}', AuthRequest("k")),
        ('{"type":"unsubscribe","id":"a"}', UnsubscribeRequest("a")),
        (
            '{"where":["a = 1"],"id":"a","type":"subscribe","channel":"counters"}',
            SubscribeRequest("a", "counters", where=("a = 1",)),
        ),
        (
            '{"type":"subscribe","id":"a","channel":"events","project":"p","event":"t.a"}',
            SubscribeRequest("a", "events", "p", "t.a"),
        ),
    ],
)
def test_a_request_is_read_by_its_type(text: str, request_: object) -> None:
    assert decode(text) == decode(text.encode()) == request_


@pytest.mark.parametrize(
    ("field", "most", "more"),
    [
        ("id", "x" * 64, "x" * 65),
        ("project", "x" * 64, "x" * 65),
        ("event", "x" * 2_000, "x" * 2_001),
        ("where", ["x" * 2_000] * 20, ["x"] * 21),
        ("where", [], ["x" * 2_001]),
        ("where", ["x"], [""]),
        ("id", "x", ""),
        ("channel", "counters", "all"),
        ("project", None, ""),
    ],
)
def test_a_field_has_its_limit(field: str, most: Any, more: Any) -> None:
    decode(json.dumps(SUBSCRIBE | {field: most}))
    with pytest.raises(msgspec.ValidationError, match=field):
        decode(json.dumps(SUBSCRIBE | {field: more}))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"type":"auth"}',
        b'{"type":"close"}',
        b'{"id":"a","channel":"events"}',
        b'{"type":"auth","key":"k","more":1}',
        b'{"type":"auth","key":"\xff"}',
        b'{"type":"auth","key":' + b"[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_anything_else_is_no_request(text: bytes) -> None:
    with pytest.raises(NOT_A_REQUEST):
        decode(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"type":"subscribe","id":"a","channel":7}', "a"),
        ('{"id":"a"}', "a"),
        ('{"id":7}', None),
        ("{}", None),
        ("[" * 100_000, None),
        ('{"more":' + "[" * 100_000, None),
        (b'{"id":"\xff"}', None),
        ("no JSON", None),
    ],
    ids=lambda text: str(text)[:40],
)
def test_an_error_is_told_under_the_id_that_the_message_names(
    text: str | bytes, name: str | None
) -> None:
    assert id_in(text) == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type": "unsubscribe", "id": 5}', "Expected text, got a number - at `$.id`"),
        ('{"type": "auth", "key": true}', "Expected text, got true or false - at `$.key`"),
        ("[]", "Expected an object, got a list"),
        (
            '{"type": "subscribe", "id": "a", "channel": "b"}',
            "Invalid value 'b' - at `$.channel`",
        ),
    ],
)
def test_what_is_wrong_is_said_without_names_of_python(text: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(text)
    assert in_words(caught.value) == words
