"""One host has one name, and one request looks up only so many new ones."""

import json

import pytest

from analytics import hosts, pipeline
from analytics.pipeline import lookups
from tests.collecting import GOOD, running
from tests.visits import browsing, event


def test_an_ascii_name_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MAX_NEW", 0)
    result = pipeline.run([event({"$url": "https://Shop.example./"})], browsing())
    assert json.loads(result.events[0].metadata)["$host"] == "shop.example"
    assert not result.without_host


async def test_new_names_beyond_a_requests_budget_are_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookups, "MAX_NEW", 20)
    body = [
        GOOD | {"metadata": {"$url": f"https://новый-{number}.example/p"}} for number in range(30)
    ]
    async with running() as client:
        answer = await client.send_events(body)
        known = [json.loads(sent.metadata) for sent in client.sink.events]
        again = await client.send_events(body[:20])
    assert answer.json()["accepted"] == 30
    assert answer.headers["x-analytics"] == (
        "some without $host or $referrer_domain: too many new host names"
    )
    assert [facts.get("$host") for facts in known] == [
        *(hosts.canonical(f"новый-{number}.example") for number in range(20)),
        *[None] * 10,
    ]
    assert {facts["$path"] for facts in known} == {"/p"}
    assert "x-analytics" not in again.headers


def test_a_name_too_long_to_be_one_takes_no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MAX_NEW", 0)
    result = pipeline.run([event({"$url": f"https://{'ü' * 5_000}.example/"})], browsing())
    assert not result.without_host


async def test_agents_leave_a_budget_to_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MAX_NEW", 2)
    facts = {"$user_agent": "an agent that takes both", "$url": "https://невиданный.example/"}
    async with running() as client:
        answer = await client.send_events(GOOD | {"metadata": facts})
    assert "x-analytics" not in answer.headers
    known = json.loads(client.sink.events[0].metadata)
    assert known["$host"] == hosts.canonical("невиданный.example")
