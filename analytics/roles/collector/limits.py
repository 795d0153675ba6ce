"""Rate limits: so many requests a second for each key or address, in bounded memory."""

import math
import time
from collections.abc import Callable

from analytics.errors import RateLimited

MAX_NAMES = 10_000
BURST_SECONDS = 1.0
"""What was not used of this long may be used at once."""


class Limits:
    """A token bucket for each name, kept as one number: the moment at which it will be full again
    (the generic cell rate algorithm).
    """

    def __init__(self, rate: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """`rate` is in requests a second; 0 limits nothing."""
        self._cost = 1 / rate if rate else 0.0
        self._now = now
        self._full: dict[str, float] = {}

    def take(self, name: str) -> None:
        """Count one request. Raises RateLimited when there have been too many."""
        if not self._cost:
            return
        now = self._now()
        full = max(now, self._full.pop(name, now)) + self._cost
        wait = full - now - BURST_SECONDS
        if wait > 1e-9:
            self._full[name] = full - self._cost
            raise RateLimited("too many requests", retry_after=math.ceil(wait))
        self._full[name] = full
        if len(self._full) > MAX_NAMES:  # the one that has been silent longest
            del self._full[next(iter(self._full))]
