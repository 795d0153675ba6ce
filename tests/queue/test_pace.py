"""How fast a processor goes on after failures."""

import pytest

from analytics.queue import pace
from analytics.queue.pace import Pace


def test_pauses_double_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BACKOFF_SECONDS", 0.25)
    monkeypatch.setattr(pace, "BACKOFF_CAP_SECONDS", 15)
    for attempt, most in [(1, 0.25), (2, 0.5), (3, 1), (7, 15), (10_000, 15)]:
        pauses = {pace.backoff(attempt) for _ in range(50)}
        assert most / 2 <= min(pauses) < max(pauses) <= most


async def test_bytes_shrink_and_grow_with_events() -> None:
    pacing, full = Pace(100), pace.MAX_TRANSACTION_BYTES
    assert pacing.limit_bytes == full
    pacing.pause()
    assert pacing.limit_bytes == full // pace.SHRINK
    for _ in range(20):
        pacing.committed()
    assert pacing.limit_bytes == full


async def test_after_a_commit_the_first_pause_is_short_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def backoff(attempt: int) -> float:
        asked.append(attempt)
        return 0.0

    monkeypatch.setattr(pace, "backoff", backoff)
    pacing = Pace(100)
    for _ in range(3):
        pacing.pause()
    pacing.committed()
    pacing.pause()
    assert asked == [1, 2, 3, 1]
