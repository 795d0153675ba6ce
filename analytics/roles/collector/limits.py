"""Rate limits: requests a second for each key or household, in bounded memory."""

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

    def take(self, *names: str) -> None:
        """Count one request that is of several names.

        Raises RateLimited, and counts nothing, if it came too soon for one of them.
        """
        if not self._cost_s:
            return
        now = self._now()
        full_at = {name: max(now, self._full_at.pop(name, now)) for name in names}
        self._full_at |= full_at  # at the end now: these names were heard last
        wait_s = max(full_at.values()) + self._cost_s - now - BURST_SECONDS
        if wait_s > _ROUNDING_S:
            raise RateLimited("too many requests", retry_after=math.ceil(wait_s))
        for name in names:
            self._full_at[name] += self._cost_s
        while len(self._full_at) > MAX_BUCKETS:  # forget the names that were silent longest
            del self._full_at[next(iter(self._full_at))]
