"""A request: the key and the name that its headers carry."""

import base64
from typing import Any

import pytest

from analytics.errors import TooLarge
from analytics.protocols import protocol
from tests.bodies import incoming


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"x_write_key": "w", "authorization": "Bearer b"}, "w"),
        ({"x_write_key": "", "authorization": "Bearer b"}, ""),
        ({"authorization": "BEARER  b "}, "b"),
        ({"authorization": "Bearer"}, ""),
        ({"authorization": "Basic b"}, None),
        ({"authorization": "b"}, None),
    ],
)
def test_the_key_is_in_the_header_of_its_own_else_it_is_the_bearers(
    headers: dict[str, Any], key: str | None
) -> None:
    assert incoming(b"", **headers).key == key


@pytest.mark.parametrize(
    ("login", "name"),
    [
        (b"key:", "key"),
        (b"key:secret:more", "key"),
        (b"key", "key"),
        ("schlüssel:".encode(), "schlüssel"),
        (b":secret", None),
        (b"\xff:", None),
    ],
)
def test_the_name_is_the_part_before_the_colon(login: bytes, name: str | None) -> None:
    for scheme in ("Basic", "basic"):
        header = f"{scheme} {base64.b64encode(login).decode()}"
        assert incoming(b"", authorization=header).username == name


@pytest.mark.parametrize("header", ["", "Basic", "Basic a", "Bearer a2V5Og==", "Basic ü"])
def test_a_header_without_a_login_names_nobody(header: str) -> None:
    assert incoming(b"", authorization=header).username is None


def test_a_text_may_hold_so_many_objects_and_lists_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "MAX_CONTAINERS", 3)
    protocol.bound_containers(b"[{},[]]")
    with pytest.raises(TooLarge):
        protocol.bound_containers(b"[{},[],{}]")


@pytest.mark.parametrize(
    "body",
    [
        b"[{},{},{}]",
        b' [{"a":[{},{}]},{},{}]',
        b'{"sent_at":1,"events":[{},{},{}]}',
        b'{"\\u0065vents": [ {"a":"]"} , 5 , {} ],"b":{"c":[{}]}}',
    ],
)
def test_too_many_events_are_counted_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(protocol, "MAX_REQUEST_EVENTS", 2)
    with pytest.raises(TooLarge, match="may hold 2 events, this one has 3"):
        protocol.bound_events(body)
    monkeypatch.setattr(protocol, "MAX_REQUEST_EVENTS", 3)
    protocol.bound_events(body)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"a":[{},{},{}]},{"b":"{{{{"}]',
        b'{"event":{"metadata":[{},{},{}]}}',
        b'{"events":{"a":{},"b":{},"c":{}}}',
        b"[{},{},{}",
        b"{{{",
        b'[{},{},{"a":"\xff"}}',
        b'"{{{{"',
    ],
)
def test_what_is_no_list_of_too_many_events_is_left_to_the_decoder(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(protocol, "MAX_REQUEST_EVENTS", 2)
    protocol.bound_events(body)
