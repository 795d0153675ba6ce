"""A user agent is looked up once, and one request looks up only so many new ones."""

import pytest

from analytics.pipeline import lookups
from analytics.pipeline.lookups import (
    SAVED_SECONDS,
    SENDER_SHARE,
    SHARE,
    Budget,
    Lookup,
    LookupTime,
)


def test_a_known_agent_costs_nothing_and_new_ones_end_with_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookups, "MAX_NEW", 2)
    looked: list[str] = []

    def is_long(agent: str) -> bool:
        looked.append(agent)
        return len(agent) > 1

    lookup, budget = Lookup(is_long), Budget()
    found = [lookup.of(agent, budget) for agent in ("a", "a", "bb", "c", "a", "bb")]
    assert found == [False, False, True, None, False, True]
    assert lookup.of("c", Budget()) is False
    assert looked == ["a", "bb", "c"]


def test_only_so_many_agents_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "REMEMBERED", 1)
    looked: list[str] = []

    def is_long(agent: str) -> bool:
        looked.append(agent)
        return len(agent) > 1

    lookup = Lookup(is_long)
    for agent in ("a", "b", "a"):
        lookup.of(agent, Budget())
    assert looked == ["a", "b", "a"]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def used(time: LookupTime, clock: Clock, *senders: str) -> float:
    """The seconds of lookups that senders, in turns, get without a pause between."""

    def slow(text: str) -> str:
        clock.seconds += 0.001
        return text

    lookup, began = Lookup(slow), clock.seconds
    for number in range(20_000):
        if all(lookup.of(f"{number} {name}", Budget(time, name)) is None for name in senders):
            break
    return clock.seconds - began


def test_one_sender_uses_its_part_of_the_time_and_leaves_the_rest_to_others() -> None:
    clock = Clock()
    time = LookupTime(now=clock)
    one = SAVED_SECONDS * SENDER_SHARE / (1 - SENDER_SHARE)  # some comes back meanwhile
    together = SAVED_SECONDS * SHARE / (1 - SHARE)
    assert used(time, clock, "a") == pytest.approx(one, rel=0.01)
    assert used(time, clock, "b") == pytest.approx(one, rel=0.01)
    assert used(time, clock, *"cdefgh") == pytest.approx(together - 2 * one, rel=0.01)


def test_time_comes_back_while_it_passes_and_no_more_is_saved_than_that() -> None:
    clock = Clock()
    time = LookupTime(now=clock)
    used(time, clock, "a")
    clock.seconds += 1
    assert used(time, clock, "a") == pytest.approx(SENDER_SHARE / (1 - SENDER_SHARE), rel=0.01)
    clock.seconds += 1_000
    first = used(time, clock, "a")
    clock.seconds += SAVED_SECONDS
    assert used(time, clock, "a") == pytest.approx(first, rel=0.01)
    clock.seconds += 1_000
    together = SAVED_SECONDS * SHARE / (1 - SHARE)
    assert used(time, clock, *"bcdefghij") == pytest.approx(together, rel=0.01)


def test_hundreds_of_new_browsers_in_every_second_are_looked_up() -> None:
    """Of one sender and of many: a browser's user agent takes 0.8 ms."""
    for senders, a_second in ((1, 300), (100, 600)):
        clock = Clock()
        time = LookupTime(now=clock)

        def read(agent: str, clock: Clock = clock) -> str:
            clock.seconds += 0.0008
            return agent

        lookup = Lookup(read)
        for number in range(60 * a_second):
            clock.seconds = max(clock.seconds, number / a_second)
            sender = f"sender {number % senders}"
            assert lookup.of(str(number), Budget(time, sender)) is not None


def test_no_more_senders_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MAX_SENDERS", 3)
    time = LookupTime(now=Clock())
    for number in range(10):
        time.spend(f"sender {number}", -1.0)
    assert len(time._senders_full_at) == 3
