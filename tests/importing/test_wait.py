"""Waiting for the end of an import: until its own events are stored, however many others come."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.errors import Unavailable
from analytics.events import Books, Outcome
from analytics.importing import stall, wait
from analytics.importing.wait import ImportResult, wait_until_stored

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(seconds=1), NOW + timedelta(microseconds=1)
BEFORE = Books(100, stored=60, duplicate=30, dead_lettered=10)


class Progress:
    """A queue and a Redis at NOW; each look sees the next state, and the last one for ever."""

    def __init__(self, *states: tuple[datetime, Books] | Unavailable) -> None:
        self.states = list(states)
        self.looks = 0

    async def time(self) -> tuple[int, int]:
        return int(NOW.timestamp()), 0

    async def watermark(self) -> datetime:
        self.looks += 1
        self.state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(self.state, Unavailable):
            raise self.state
        return self.state[0]

    async def books(self) -> Books:
        assert not isinstance(self.state, Unavailable)
        return self.state[1]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(stall, "STALLED_SECONDS", 0.003)


async def waited(progress: Any, accepted: int) -> tuple[ImportResult, list[str]]:
    notes: list[str] = []
    return await wait_until_stored(progress, progress, BEFORE, accepted, notes.append), notes


async def test_the_outcome_is_what_the_books_have_gained() -> None:
    progress = Progress(
        (EARLIER, Books(106, stored=61, duplicate=30, dead_lettered=10, queued=5)),
        (EARLIER, Books(106, stored=63, duplicate=32, dead_lettered=11)),
    )
    result, notes = await waited(progress, 6)
    assert (result, notes, progress.looks) == (ImportResult(Outcome(3, 2, 1), others=0), [], 2)


async def test_events_that_others_sent_since_are_not_waited_for_but_counted() -> None:
    books = Books(109, stored=65, duplicate=30, dead_lettered=10, queued=4)
    progress = Progress((NOW, books), (LATER, books))
    result, _ = await waited(progress, 3)
    assert (result, progress.looks) == (ImportResult(Outcome(5, 0, 0), others=2), 2)


async def test_books_that_were_corrected_meanwhile_have_no_events_of_others() -> None:
    result, _ = await waited(Progress((EARLIER, Books(100, 61, 30, 10))), 3)
    assert result == ImportResult(Outcome(1), others=0)


async def test_a_queue_out_of_reach_is_waited_out() -> None:
    away = Unavailable("Redis is down", retry_after=0)
    progress = Progress(away, away, (EARLIER, Books(101, 61, 30, 10)))
    result, notes = await waited(progress, 1)
    assert (result.outcome, notes) == (Outcome(1), ["waiting: Redis is down"] * 2)


async def test_when_nothing_is_stored_for_long_it_asks_for_a_processor_and_waits_on() -> None:
    idle = (EARLIER, Books(107, 60, 30, 10, queued=7))
    busy = (EARLIER, Books(107, 61, 30, 10, queued=6))
    progress = Progress(idle, idle, idle, busy, busy, busy, (EARLIER, Books(107, 67, 30, 10)))
    assert (await waited(progress, 7))[1] == [], "each event that is stored counts from anew"
    progress = Progress(*[idle] * 8, (EARLIER, Books(107, 67, 30, 10)))
    result, notes = await waited(progress, 7)
    assert result.outcome == Outcome(7)
    assert [note.partition(" wait ")[0] for note in notes] == ["7 events"] * 2
