"""How fast a processor goes on after failures."""

import pytest

from analytics.queue import pace


def test_pauses_double_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BACKOFF_SECONDS", 0.25)
    monkeypatch.setattr(pace, "BACKOFF_CAP_SECONDS", 15)
    for attempt, most in [(1, 0.25), (2, 0.5), (3, 1), (7, 15), (10_000, 15)]:
        pauses = {pace.backoff(attempt) for _ in range(50)}
        assert most / 2 <= min(pauses) < max(pauses) <= most
