"""What a subscription shows: events that pass its filter, or counters."""

import asyncio
import json
import random
import time
from datetime import datetime

from tests.live.kit import make_events
from tests.roles.realtime.platform import (
    Platform,
    receive,
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
