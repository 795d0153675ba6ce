"""Rate limits: requests a second for each key or address, in bounded memory."""

import math
import time
from collections.abc import Callable

from analytics.errors import RateLimited

MAX_BUCKETS = 10_000
BURST_SECONDS = 1.0
"""A sender may use at once what it left unused for this long."""

_ROUNDING_S = 1e-9


class Limits:
    """A token bucket for each name, by the generic cell rate algorithm (GCRA).

    It keeps one number for each name: the moment at which the bucket will be full again.
    """

    def __init__(self, rate: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """`rate` is in requests a second; 0 means no limit."""
        self._cost_s = 1 / rate if rate else 0.0
        self._now = now
        self._full_at: dict[str, float] = {}

    def take(self, name: str) -> None:
        """Count one request of `name`. Raises RateLimited if it came too soon."""
        if not self._cost_s:
            return
        now = self._now()
        full_at = max(now, self._full_at.pop(name, now)) + self._cost_s
        wait_s = full_at - now - BURST_SECONDS
        if wait_s > _ROUNDING_S:
            self._full_at[name] = full_at - self._cost_s  # a refused request costs nothing
            raise RateLimited("too many requests", retry_after=math.ceil(wait_s))
        self._full_at[name] = full_at
        if len(self._full_at) > MAX_BUCKETS:  # forget the name that was silent longest
            del self._full_at[next(iter(self._full_at))]
