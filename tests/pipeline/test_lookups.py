"""A user agent is looked up once, and one request looks up only so many new ones."""

import pytest

from analytics.pipeline import lookups
from analytics.pipeline.lookups import Budget, Lookup


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
