"""What a subscription shows: events that pass its filter, or counters."""

import asyncio
import json
import random
import time
from datetime import datetime
from typing import Any

import pytest

from analytics.live import bus
from analytics.queries.language import automata
from analytics.queries.language.automata import caches
from analytics.queries.language.work import BURST_STEPS, EVENT_STEPS
from tests.live.kit import make_events
from tests.roles.realtime.platform import (
    Platform,
    receive,
    send,
    stream,
    subscribed,
)
from tests.waiting import PATIENCE_SECONDS


async def test_an_event_is_shown_after_it_is_stored_as_the_api_shows_it(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader)
        event = make_events(1, user_id="u1", metadata=b'{"page": "/pricing", "n": 1.50}')[0]
        await platform.stored([event])
        message = await receive(reader)
        assert (message["type"], message["id"]) == ("event", "a")
        shown = message["event"]
        assert shown == {
            "id": str(event.id),
            "project": "shop",
            "session_id": "s",
            "user_id": "u1",
            "event_type": "engagement",
            "event_action": "click",
            "metadata": {"page": "/pricing", "n": 1.5},
            "timestamp": shown["timestamp"],
            "created_at": shown["created_at"],
        }
        assert datetime.fromisoformat(shown["timestamp"]) == event.timestamp


async def test_each_subscription_gets_what_passes_its_own_filter(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, "clicks", event="engagement:click")
        await subscribed(
            reader, "pricing", event="page,engagement", where=["metadata.page.eq./pricing"]
        )
        await subscribed(reader, "strange", event="a%3Ab:*")
        await subscribed(reader, "end")
        await platform.stored(make_events(1, metadata=b'{"page": "/"}'))
        await platform.stored(make_events(1, event_type="page", metadata=b'{"page": "/pricing"}'))
        await platform.stored(make_events(1, event_type="a:b"))
        ids: list[str] = []
        while ids.count("end") < 3:
            ids.append((await receive(reader))["id"])
        assert ids == ["clicks", "end", "pricing", "end", "strange", "end"]


async def test_a_pattern_that_asks_too_much_ends_its_subscription_alone(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, "heavy", where=["metadata.x.re.[ab]*a[ab]{150}c"])
        await subscribed(reader, "light")
        text = "".join(random.Random(1).choices("ab", k=30_000))
        await platform.stored(make_events(1, metadata=json.dumps({"x": text}).encode()))
        messages = [await receive(reader), await receive(reader)]
        assert {(message["type"], message["id"]) for message in messages} == {
            ("error", "heavy"),
            ("event", "light"),
        }
        await platform.stored(make_events(1))
        assert (await receive(reader))["id"] == "light"


def costly(subscription: int) -> list[str]:
    """Twenty patterns that nobody else has, whose states explode."""
    return [f"metadata.x.re.[ab]*a[ab]{{14}}c{subscription}{number}" for number in range(20)]


async def test_four_hundred_patterns_share_the_budget_of_their_connection(
    platform: Platform,
) -> None:
    text = "".join(random.Random(1).choices("ab", k=20_000))
    async with platform.socket() as greedy, platform.socket() as other, platform.http() as http:
        for number in range(20):
            await subscribed(greedy, str(number), where=costly(number))
        await subscribed(other)
        await platform.stored(make_events(3, metadata=json.dumps({"x": text}).encode()))
        alive = await http.get("/health/live")
        ended = [await receive(greedy) for _ in range(20)]
        assert {(message["type"], message["code"]) for message in ended} == {
            ("error", "too_costly")
        }
        assert {message["id"] for message in ended} == {str(number) for number in range(20)}
        assert [(await receive(other))["type"] for _ in range(3)] == ["event"] * 3
        assert alive.status_code == 200
    assert caches.size_bytes <= automata.MAX_CACHED_BYTES


async def test_subscriptions_share_one_budget(platform: Platform) -> None:
    """Each of them takes more than half of what the connection has."""
    text = "-" * (BURST_STEPS // 2 + EVENT_STEPS)
    async with platform.socket() as reader:
        for id_ in "ab":
            await subscribed(reader, id_, where=[f"metadata.x.re.{id_}"])
        await platform.stored(make_events(1, metadata=json.dumps({"x": text}).encode()))
        error = await receive(reader)
        assert (error["id"], error["code"]) == ("b", "too_costly")


async def test_patterns_cost_a_stream_the_same_as_a_socket(platform: Platform) -> None:
    text = "".join(random.Random(1).choices("ab", k=20_000))
    async with stream(platform, where=costly(0)) as events:
        await events.next()
        await events.next()
        await platform.stored(make_events(1, metadata=json.dumps({"x": text}).encode()))
        error = await events.next()
        assert (error["event"], json.loads(error["data"])["code"]) == ("error", "too_costly")


@pytest.mark.parametrize(
    ("where", "metadata"),
    [
        ("metadata.x.contains." + ",".join("abcdefgh"), {"x": "-" * 600_000}),
        ("metadata.x.re.^a", {"x": "-" * 600_000}),
        ("metadata.x.eq.1", {"x": [1] * 50_000}),
    ],
)
async def test_whatever_looks_at_a_long_text_is_work(
    platform: Platform, where: str, metadata: dict[str, Any]
) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, where=[where])
        await platform.stored(make_events(1, metadata=json.dumps(metadata).encode()))
        assert (await receive(reader))["code"] == "too_costly"


async def test_events_give_back_the_work_that_they_take(platform: Platform) -> None:
    """Twenty patterns on usual texts, many more events than a reader may look at in one burst."""
    where = [f"metadata.page.re.^/(shop|blog)/[a-z]+-{number}$" for number in range(20)]
    async with platform.socket() as reader:
        await subscribed(reader, where=where)
        await subscribed(reader, "end", event="end")
        for _ in range(10):
            pages = [b'{"page":"/shop/%b"}' % (b"colour-%d" % number) for number in range(20)]
            await platform.stored([make_events(1, metadata=page)[0] for page in pages * 5])
        await platform.stored(make_events(1, event_type="end"))
        assert (await receive(reader))["id"] == "end"


async def test_who_unsubscribes_while_filters_run_hears_nothing_more(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have their turn after each event of a delivery."""
    monkeypatch.setattr(bus, "SLICE_SECONDS", -1.0)
    async with platform.socket() as reader:
        await subscribed(reader, "a")
        await platform.stored(make_events(2_000))
        await send(reader, type="unsubscribe", id="a")
        await subscribed(reader, "b")
        await platform.stored(make_events(1, event_type="last"))
        assert (await receive(reader))["id"] == "b"


async def test_counters_come_every_second_and_count_every_event_once(platform: Platform) -> None:
    async with platform.socket() as reader:
        since = time.monotonic()
        await subscribed(reader, channel="counters")
        total = 0
        by_type: dict[str, int] = {}
        for step in range(4):
            await platform.stored(
                [
                    *make_events(30, user_id=f"u{step}"),
                    *make_events(12, event_type="page", user_id="u0"),
                ]
            )
            message = await receive(reader)
            assert (message["type"], message["id"]) == ("counters", "a")
            total += message["events_per_second"]
            for name, number in message["by_type"].items():
                by_type[name] = by_type.get(name, 0) + number
        assert 3 < time.monotonic() - since < 30
        async with asyncio.timeout(PATIENCE_SECONDS):
            while total < 168 or message["visitors"] != 4:  # they are counted at another time
                message = await receive(reader)
                total += message["events_per_second"]
                for name, number in message["by_type"].items():
                    by_type[name] = by_type.get(name, 0) + number
        assert (total, by_type) == (168, {"engagement": 120, "page": 48})


async def test_counters_name_a_bounded_number_of_types(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, channel="counters")
        await platform.stored(
            [event for number in range(200) for event in make_events(1, event_type=f"t{number}")]
        )
        message = await receive(reader)
        while not message["by_type"]:
            message = await receive(reader)
        assert len(message["by_type"]) == 51
        assert message["by_type"]["other"] == 150
