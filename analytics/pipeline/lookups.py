"""Slow functions of texts: remembered, and new texts only as far as a request's budget reaches.

A new user agent takes milliseconds, a host name with other letters than ASCII up to one. A small
body can hold thousands of them.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from analytics.lru import Lru

V = TypeVar("V")

REMEMBERED = 10_000
"""Texts of which one lookup remembers what it found."""

MAX_NEW = 200
"""Lookups of new texts by one budget; each user agent takes two, one for bots."""


class Budget:
    """What one request may still look up, and how many events went without, where it is counted."""

    __slots__ = ("left", "refused")

    def __init__(self) -> None:
        self.left = MAX_NEW
        self.refused = 0

    def take(self) -> bool:
        """Whether one more new text may be looked up."""
        self.left -= 1
        return self.left >= 0

    @property
    def exceeded(self) -> bool:
        """Whether a text was not looked up."""
        return self.left < 0


class Lookup(Generic[V]):
    """A slow function of a text that never returns None, and its last REMEMBERED values."""

    def __init__(self, function: Callable[[str], V]) -> None:
        self._function = function
        self._known: Lru[str, V] = Lru(REMEMBERED)

    def of(self, text: str, budget: Budget) -> V | None:
        """What the function says of a text; None for a new one beyond the budget."""
        known = self._known.get(text)
        if known is None and budget.take():
            known = self._function(text)
            self._known.put(text, known)
        return known
