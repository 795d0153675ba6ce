"""What waits for a reader is bounded: the rest is a gap."""

import pytest

from analytics.roles.realtime import outbox
from tests.live.kit import make_events
from tests.roles.realtime.platform import Platform, receive, subscribed


async def test_events_without_room_are_skipped_and_told_as_a_gap(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 10)
    async with platform.socket() as reader:
        await subscribed(reader)
        await platform.stored(make_events(500))
        received = missed = 0
        while received + missed < 500:
            message = await receive(reader)
            received += message["type"] == "event"
            missed += message.get("missed", 0)
        assert received >= 10
        assert missed > 0
        await platform.stored(make_events(1))
        assert (await receive(reader))["type"] == "event"
