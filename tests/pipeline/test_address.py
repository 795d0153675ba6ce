"""The visitor's address: how much of it is stored, and that nothing more leaves the collector."""

import json

import msgspec
import pytest

from analytics.pipeline import Rules
from analytics.pipeline.address import truncated
from analytics.settings import load
from tests.collecting import GOOD, running
from tests.pipeline.cases import Cases, assert_puts
from tests.visits import ADDRESS, CHROME, SERVER, browsing

CASES: Cases = {
    "no address": ({"$ip": ADDRESS}, browsing(), {"$ip": None}),
    "an address written otherwise": (
        {"$properties": {"$ip": ADDRESS, "a": 1}},
        SERVER,
        {"$properties": {"a": 1}},
    ),
    "an address in what a library says": (
        {"$context": {"device": [{"ip": ADDRESS, "id": 7}]}, "$set": {"$ip": ADDRESS}},
        SERVER,
        {"$context": {"device": [{"id": 7}]}, "$set": None},
    ),
    "an address that its sender named": ({"ip": ADDRESS}, browsing(), {"ip": ADDRESS}),
    "half an address": ({}, browsing(Rules(store_ip="truncated")), {"$ip": "203.0.113.0"}),
    "a whole address": ({}, browsing(Rules(store_ip="full")), {"$ip": ADDRESS}),
    "a whole address of the sender's": (
        {"$ip": "198.51.100.4"},
        browsing(Rules(store_ip="full")),
        {"$ip": "198.51.100.4"},
    ),
    "a whole address in its usual notation": (
        {"$ip": "::FFFF:198.51.100.4"},
        browsing(Rules(store_ip="full")),
        {"$ip": "198.51.100.4"},
    ),
    "half a list": (
        {"$ip": "unknown, 198.51.100.4:80, 10.0.0.1"},
        browsing(Rules(store_ip="truncated")),
        {"$ip": "198.51.100.0"},
    ),
    "half of no address": (
        {"$ip": "unknown"},
        browsing(Rules(store_ip="truncated")),
        {"$ip": "203.0.113.0"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])


def test_addresses_are_cut() -> None:
    given = {
        "203.0.113.77": "203.0.113.0",
        "2001:db8:1:2::3": "2001:db8:1::",
        "::ffff:203.0.113.77": "203.0.113.0",
        "64:ff9b::203.0.113.77": "203.0.113.0",
        "203.0.113.77:54321": "203.0.113.0",
        "[2001:DB8:1:2::3]:443": "2001:db8:1::",
        "fe80::1%eth0": "fe80::",
        "no": "",
    }
    assert {text: truncated(text) for text in given} == given


@pytest.mark.parametrize(
    ("store_ip", "address", "stored"),
    [
        ("no", ADDRESS, None),
        ("truncated", ADDRESS, "203.0.113.0"),
        ("truncated", "2001:db8:1:2::3", "2001:db8:1::"),
        ("full", ADDRESS, ADDRESS),
        ("full", "2001:db8:1:2::3", "2001:db8:1:2::3"),
    ],
)
async def test_an_address_is_stored_as_the_operator_set(
    store_ip: str, address: str, stored: str | None
) -> None:
    assert load({"STORE_IP": store_ip}).store_ip == store_ip
    async with running(address, store_ip=store_ip) as client:
        await client.send_events(GOOD, origin="https://shop.example", user_agent=CHROME)
        await client.send_events(
            {"type": "track", "event": "e", "userId": "u", "context": {"ip": address}}, "/v1/track"
        )
        assert [json.loads(event.metadata).get("$ip") for event in client.sink.events] == [
            stored,
            stored,
        ]


async def test_no_address_leaves_the_collector(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with running(ADDRESS) as client:
        page = {"n": "pageview", "u": "https://shop.example/", "d": "shop.example"}
        await client.send_events(
            page, "/api/event", origin="https://shop.example", user_agent=CHROME
        )
        call = {
            "type": "track",
            "event": "e",
            "userId": "u",
            "context": {"ip": ADDRESS, "device": {}},
        }
        await client.send_events({"batch": [call], "writeKey": "w"}, "/v1/batch")
        await client.send_events(
            GOOD | {"metadata": {"$ip": ADDRESS}}, x_forwarded_for=ADDRESS, x_real_ip=ADDRESS
        )
        assert len(client.sink.events) == 3
        assert ADDRESS.encode() not in msgspec.json.encode(client.sink.events)
        assert (await client.get("/metrics")).text.count(ADDRESS) == 0
    assert ADDRESS not in "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpx")
    )
