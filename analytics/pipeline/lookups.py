"""Lookups of user agents: remembered, and new ones only as far as a request's budget reaches.

A new agent takes milliseconds, and a small body can hold thousands of them.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from analytics.lru import Lru

V = TypeVar("V")

REMEMBERED = 10_000
"""User agents of which one lookup remembers what it found."""

MAX_NEW = 200
"""Lookups of new user agents in one request; each agent takes two, one for bots."""


class Budget:
    """What one request may still look up, and how many events went without."""

    __slots__ = ("left", "refused")

    def __init__(self) -> None:
        self.left = MAX_NEW
        self.refused = 0

    def take(self) -> bool:
        """Whether one more new agent may be looked up."""
        self.left -= 1
        return self.left >= 0


class Lookup(Generic[V]):
    """A slow function of a user agent that never returns None, and its last REMEMBERED values."""

    def __init__(self, function: Callable[[str], V]) -> None:
        self._function = function
        self._known: Lru[str, V] = Lru(REMEMBERED)

    def of(self, agent: str, budget: Budget) -> V | None:
        """What the function says of an agent; None for a new one beyond the budget."""
        known = self._known.get(agent)
        if known is None and budget.take():
            known = self._function(agent)
            self._known.put(agent, known)
        return known
