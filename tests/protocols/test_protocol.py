"""A request: the key and the name that its headers carry."""

import base64
from typing import Any

import pytest

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
