"""Slow functions of texts: remembered, and new texts only as far as budgets reach.

A new user agent takes milliseconds, a host name with other letters than ASCII up to one. A small
body can hold thousands of them, and many small bodies can come at once. So each request has a
budget, and all requests together have only a part of the time.
"""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from analytics.lru import Lru

V = TypeVar("V")

REMEMBERED = 10_000
"""Texts of which one lookup remembers what it found."""

MAX_NEW = 200
"""Lookups of new texts by one budget; each user agent takes two, one for bots."""


SHARE = 0.5
"""The part of the time that lookups of new texts may take, for all requests together.

A browser's user agent takes 0.8 ms, so that is 600 new ones in every second.
"""

SENDER_SHARE = 0.25
"""The same for the requests of one sender."""

SAVED_SECONDS = 8.0
"""What was left of this time may be used at once: 4 s by all requests, 2 s by one sender's."""

MAX_SENDERS = 10_000
"""Senders whose use is remembered."""


class LookupTime:
    """The time for lookups of new texts: a token bucket for all senders, and one for each.

    A bucket is the moment at which it will be full again (GCRA).
    """

    def __init__(self, *, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self._full_at = 0.0
        self._senders_full_at: Lru[str, float] = Lru(MAX_SENDERS)

    def is_left(self, sender: str) -> bool:
        """Whether a sender may look up one more text."""
        full_at = max(self._full_at, self._senders_full_at.get(sender) or 0.0)
        return full_at - self.now() < SAVED_SECONDS

    def spend(self, sender: str, since: float) -> None:
        """Count a sender's lookup, which took from that moment of `now` until now."""
        now = self.now()
        self._full_at = max(now, self._full_at) + (now - since) / SHARE
        full_at = max(now, self._senders_full_at.get(sender) or 0.0)
        self._senders_full_at.put(sender, full_at + (now - since) / SENDER_SHARE)


class Budget:
    """What one request may still look up, and how many events went without, where it is counted."""

    __slots__ = ("_sender", "_time", "exceeded", "left", "refused")

    def __init__(self, time: LookupTime | None = None, sender: str = "") -> None:
        """`time` is shared with other requests; without one, only this request counts."""
        self._time = LookupTime() if time is None else time
        self._sender = sender
        self.left = MAX_NEW
        self.refused = 0
        self.exceeded = False
        """Whether a text was not looked up."""

    def call(self, function: Callable[[str], V], text: str) -> V | None:
        """What the function says of a new text; None beyond the budget, or without time left."""
        if not self.left or not self._time.is_left(self._sender):
            self.exceeded = True
            return None
        self.left -= 1
        began = self._time.now()
        try:
            return function(text)
        finally:
            self._time.spend(self._sender, began)


class Lookup(Generic[V]):
    """A slow function of a text that never returns None, and its last REMEMBERED values."""

    def __init__(self, function: Callable[[str], V]) -> None:
        self._function = function
        self._known: Lru[str, V] = Lru(REMEMBERED)

    def of(self, text: str, budget: Budget) -> V | None:
        """What the function says of a text; None for a new one beyond the budget."""
        known = self._known.get(text)
        if known is None:
            known = budget.call(self._function, text)
            if known is not None:
                self._known.put(text, known)
        return known
