"""What waits for a reader is bounded: the rest is a gap."""

import pytest
from msgspec import Raw

from analytics.roles.realtime import outbox
from analytics.roles.realtime.messages import EventMessage
from analytics.roles.realtime.outbox import Outbox
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


def event(size_bytes: int) -> Raw:
    return Raw(b'"' + b"x" * (size_bytes - 2) + b'"')


def sizes(entries: list[outbox.QueuedMessage]) -> list[int]:
    messages = [entry.message for entry in entries]
    return [len(message.event) for message in messages if isinstance(message, EventMessage)]


async def test_what_is_written_at_once_is_bounded_by_its_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "TAKE_BYTES", 1000)
    waiting = Outbox()
    for position, size_bytes in enumerate((300, 300, 5000, 300)):
        waiting.offer("a", event(size_bytes), position)
    for taken in ([300, 300], [5000], [300]):
        assert sizes(await waiting.take()) == taken


async def test_a_single_reader_has_no_more_than_its_own_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "MAX_BYTES", 1000)
    waiting = Outbox()
    for position in range(9):
        waiting.offer("a", event(400), position)
    assert sizes(await waiting.take()) == [400, 400, 400]


async def test_an_ended_subscription_makes_room_only_where_its_messages_took_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "MAX_BYTES", 1000)
    waiting = Outbox()
    for id_ in ("a", "b", "b", "b"):
        waiting.put(EventMessage(id_, event(600)))
    waiting.forget("a")
    assert not waiting._room.is_set()
    waiting.forget("b")
    assert waiting._room.is_set()


async def test_readers_share_the_memory_of_a_process_equally(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So one that reads what it gets loses nothing, however many read nothing."""
    monkeypatch.setattr(outbox, "MAX_PROCESS_BYTES", 100_000)
    slow = [Outbox() for _ in range(100)]
    quick, got = Outbox(), 0
    for position in range(50):
        for each in (quick, *slow):
            each.offer("a", event(500), position)
        got += len(sizes(await quick.take()))
    assert got == 50
    assert sum(each._size_bytes for each in slow) < 250_000
