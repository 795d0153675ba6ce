"""The page, from its URL."""

import json
import time
from typing import Any

import pytest

from analytics.pipeline import page
from analytics.pipeline.page import MAX_URL
from tests.collecting import running
from tests.pipeline.cases import Cases, assert_puts
from tests.pipeline.pages import SENT
from tests.visits import SERVER

CASES: Cases = {
    "the page": (
        {"$url": "https://a.example/p/q?x=1"},
        SERVER,
        {"$host": "a.example", "$path": "/p/q"},
    ),
    "a page that is none": ({"$url": "https://[bad"}, SERVER, {"$host": None, "$path": None}),
    "a page of the longest address": (
        {"$url": "https://a.example/".ljust(MAX_URL, "x")},
        SERVER,
        {"$host": "a.example"},
    ),
    "a page of a longer one": (
        {"$url": "https://a.example/".ljust(MAX_URL + 1, "x")},
        SERVER,
        {"$host": None, "$path": None},
    ),
    "a page without a path": (
        {"$url": "HTTPS://A.Example"},
        SERVER,
        {"$host": "a.example", "$path": "/"},
    ),
    "a page without its scheme": (
        {"$url": "a.example/p?utm_source=x"},
        SERVER,
        {"$host": "a.example", "$path": "/p", "$utm_source": "x"},
    ),
    "a page with the scheme of another": (
        {"$url": "//a.example:8080/p"},
        SERVER,
        {"$host": "a.example", "$path": "/p"},
    ),
    "a host with the dot of the root": (
        {"$url": "https://Shop.example./p"},
        SERVER,
        {"$host": "shop.example", "$path": "/p"},
    ),
    "a page that its hash names": (
        {"$url": "https://a.example/app/?x=1#/cart", "$hash_mode": 1},
        SERVER,
        {"$host": "a.example", "$path": "/app/#/cart"},
    ),
    "a place on a page": (
        {"$url": "https://a.example/app#top", "$hash_mode": 0},
        SERVER,
        {"$path": "/app"},
    ),
    "a page of this machine": (
        {"$url": "localhost:3000/p"},
        SERVER,
        {"$host": "localhost", "$path": "/p"},
    ),
    "a path and a host": (
        {"$url": "/p?utm_source=x&gclid=G", "$hostname": "Shop.example:8080"},
        SERVER,
        {"$host": "shop.example", "$path": "/p", "$utm_source": "x", "$gclid": "G"},
    ),
    "a path and a domain": (
        {"$url": "/p", "$domain": "shop.example,all.example"},
        SERVER,
        {"$host": "shop.example", "$path": "/p"},
    ),
    "a path and the sender's own host": (
        {"$url": "/p", "$host": "localhost:3000"},
        SERVER,
        {"$host": "localhost:3000", "$path": "/p"},
    ),
    "a path alone": (
        {"$url": "/p?utm_source=x"},
        SERVER,
        {"$host": None, "$path": "/p", "$utm_source": "x"},
    ),
    "a query alone": (
        {"$url": "?utm_source=x", "$hostname": "shop.example"},
        SERVER,
        {"$host": "shop.example", "$path": "/", "$utm_source": "x"},
    ),
    "a word and a host": (
        {"$url": "checkout.php?utm_source=x", "$hostname": "shop.example"},
        SERVER,
        {"$host": "shop.example", "$path": "/checkout.php", "$utm_source": "x"},
    ),
    "a word in capitals and a host": (
        {"$url": "Checkout.PHP", "$hostname": "shop.example"},
        SERVER,
        {"$host": "shop.example", "$path": "/Checkout.PHP"},
    ),
    "an address without a host": (
        {"$url": "//:80/p", "$hostname": "shop.example"},
        SERVER,
        {"$host": None, "$path": None},
    ),
    "a page and another host": (
        {"$url": "https://a.example/p", "$hostname": "b.example"},
        SERVER,
        {"$host": "a.example"},
    ),
    "a path and two hosts": (
        {"$url": "/p", "$hostname": "a.example", "$domain": "b.example"},
        SERVER,
        {"$host": "a.example"},
    ),
    "a path and domains with blanks": (
        {"$url": "/p", "$domain": " shop.example , all.example"},
        SERVER,
        {"$host": "shop.example"},
    ),
    "a word alone": ({"$url": "checkout.php"}, SERVER, {"$host": None, "$path": None}),
    "the sender's own path": (
        {"$url": "/p", "$path": "/q", "$hostname": "a.example"},
        SERVER,
        {"$path": "/q", "$host": "a.example"},
    ),
    "an app's page": (
        {"$url": "app://localhost/p?utm_source=x", "$domain": "a.example"},
        SERVER,
        {"$host": None, "$path": None, "$utm_source": None},
    ),
    "no page": (
        {"$url": "about:blank", "$hostname": "a.example"},
        SERVER,
        {"$host": None, "$path": None},
    ),
    "a long path": (
        {"$url": f"https://a.example/{'p' * 600}?x"},
        SERVER,
        {"$path": f"/{'p' * 600}"},
    ),
    "a host of other letters": (
        {"$url": "https://Straße.example/p"},
        SERVER,
        {"$host": "xn--strae-oqa.example", "$path": "/p"},
    ),
    "the same without its scheme": (
        {"$url": "пример.рф/p"},
        SERVER,
        {"$host": "xn--e1afmkfd.xn--p1ai", "$path": "/p"},
    ),
    "a path and a host with marks": (
        {"$url": "/p", "$hostname": "उदाहरण.परीक्षा:8080"},
        SERVER,
        {"$host": "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g", "$hostname": "उदाहरण.परीक्षा:8080"},
    ),
    "a host with percent signs": (
        {"$url": "https://m%C3%BCnchen.example/"},
        SERVER,
        {"$host": "xn--mnchen-3ya.example"},
    ),
    "a host that cannot be": (
        {"$url": "https://Mü..example/p"},
        SERVER,
        {"$host": "mü..example", "$path": "/p"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])


@pytest.mark.parametrize(("path", "body"), SENT.values(), ids=SENT)
async def test_an_address_is_read_alike_from_every_protocol(path: str, body: Any) -> None:
    addresses = [start + "/a?gclid=G" for start in ("https://shop.example", "shop.example", "")]
    async with running() as client:
        for address in addresses:
            await client.send_events(json.dumps(body).replace("ADDRESS", address).encode(), path)
        known = [json.loads(event.metadata) for event in client.sink.events]
    assert [(facts["$path"], facts["$gclid"]) for facts in known] == [("/a", "G")] * 3
    assert [facts["$host"] for facts in known[:2]] == ["shop.example"] * 2


@pytest.mark.parametrize("scheme", ["https://", "//", "", "\t https:/\n/", "HTTP://user:pass@"])
def test_marks_of_a_host_are_not_sorted_however_many_they_are(scheme: str) -> None:
    """Python's normal form of a text sorts its marks in quadratic time."""
    half = (MAX_URL - 50) // 2
    url = f"{scheme}a.example" + "\u0300" * half + "\u0316" * half
    began = time.process_time()
    page.split(url)
    assert time.process_time() - began < 0.05  # it takes a tenth of a millisecond


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://" + "é" * 200 + "/", "é" * 200),
        ("https://a.example/" + "é" * 2_000, "a.example"),
        ("https://a.example?q=" + "é" * 2_000, "a.example"),
        ("a.example#" + "é" * 2_000, "a.example"),
        ("https://" + "u" * 2_000 + "@a.example/", "a.example"),
    ],
)
def test_a_long_address_is_read_wherever_its_host_is_short(url: str, host: str) -> None:
    parts = page.split(url)
    assert parts is not None
    assert parts.hostname == host
