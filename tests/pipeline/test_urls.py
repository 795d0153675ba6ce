"""Addresses lose the name and the password of their user, from every protocol."""

import json
from typing import Any

import pytest

from tests.collecting import running
from tests.pipeline.cases import Cases, assert_puts, facts
from tests.pipeline.pages import SENT
from tests.visits import SERVER, browsing

ADDRESSES = {
    "https://ada:secret@shop.example/a?user=ada@b.example": (
        "https://shop.example/a?user=ada@b.example"
    ),
    "https://ada@shop.example": "https://shop.example",
    "https://ada:s@cr@et@shop.example/": "https://shop.example/",
    "HTTPS://Ada:secret@Shop.example:8080/#a@b": "HTTPS://Shop.example:8080/#a@b",
    " https://ada:secret@shop.example/": " https://shop.example/",
    "https:\\\\ada:secret@shop.example\\a": "https:\\\\shop.example\\a",
    "//ada:secret@shop.example/a": "//shop.example/a",
    "https://ada:s@a.example/?next=https://b:c@b.example/": (
        "https://a.example/?next=https://b:c@b.example/"
    ),
    "android-app://ada:secret@org.acme.app/": "android-app://org.acme.app/",
    "postgres://ada:secret@db.example:5432/shop": "postgres://db.example:5432/shop",
}
KEPT = (
    "https://shop.example/@ada",
    "https://shop.example/?next=https://ada:secret@b.example/",
    "https://shop.example?mail=ada@shop.example",
    "https://shop.example#ada@shop.example",
    "https://shop.example\\ada@shop.example",
    "https://shop.example is ours, write to ada@shop.example",
    "mailto:ada@shop.example",
    "ada@shop.example",
    "@ada",
    "// @todo",
    "git@shop.example:ada/shop.git",
)

CASES: Cases = {
    "the page and its referrer": (
        {"$url": "https://a:b@a.example/p", "$referrer": "https://c:d@b.example/"},
        SERVER,
        {
            "$url": "https://a.example/p",
            "$host": "a.example",
            "$path": "/p",
            "$referrer": "https://b.example/",
            "$referrer_domain": "b.example",
        },
    ),
    "a value inside others": (
        {"$context": {"pages": [{"url": "https://a:b@a.example/"}, 1, None]}, "$lib": "l"},
        SERVER,
        {"$context": {"pages": [{"url": "https://a.example/"}, 1, None]}},
    ),
    "a property": (
        {"target": "https://a:b@a.example/", "mail": "ada@a.example"},
        browsing(),
        {"target": "https://a.example/", "mail": "ada@a.example"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])


@pytest.mark.parametrize(("address", "clean"), ADDRESSES.items())
def test_an_address_loses_its_user(address: str, clean: str) -> None:
    assert facts({"$url": address}, SERVER)["$url"] == clean


@pytest.mark.parametrize("text", KEPT)
def test_other_texts_stay(text: str) -> None:
    assert facts({"$note": text}, SERVER)["$note"] == text


@pytest.mark.parametrize(
    "escaped", [b"https:\\/\\/ada:secret@shop.example\\/", b"https://ada\\u0040shop.example/"]
)
def test_an_address_in_escapes_is_seen_all_the_same(escaped: bytes) -> None:
    assert facts(b'{"$url":"' + escaped + b'"}', SERVER)["$url"] == "https://shop.example/"


@pytest.mark.parametrize(("path", "body"), SENT.values(), ids=SENT)
async def test_no_password_is_stored_from_any_protocol(path: str, body: Any) -> None:
    sent = json.dumps(body).replace("ADDRESS", "https://ada:secret@shop.example/a?x=1")
    async with running() as client:
        await client.send_events(sent.encode(), path)
    [event] = client.sink.events
    assert b"secret" not in event.metadata
    assert json.loads(event.metadata)["$url"] == "https://shop.example/a?x=1"
