"""The compactor: takes deltas up soon after they are stored, with a bounded share of one core, in
one processor at a time.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from analytics.errors import TransientStoreError

log = logging.getLogger(__name__)

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
"""Seconds between two compactions: what is stored in between is read from its deltas."""

ENOUGH = 20_000
"""Events that are worth a compaction at once; fewer wait, because the next may be added to the same
rows.
"""

REST = 3.0
"""Times as long as a compaction took, nothing is done after it."""


class Compactor:
    """Calls `compact` (→ events taken up), which is told to do nothing where another processor is
    at it.
    """

    def __init__(self, compact: Callable[[], Awaitable[int]]) -> None:
        self._compact = compact
        self._events = 0
        self._enough = asyncio.Event()

    def stored(self, events: int) -> None:
        """So many events have left deltas."""
        self._events += events
        if self._events >= ENOUGH:
            self._enough.set()

    async def run(self) -> None:
        """Compact until cancelled; what cannot be done now is done later."""
        while True:
            began = time.monotonic()
            self._events = 0
            self._enough.clear()
            try:
                taken = await self._compact()
            except TransientStoreError as error:
                log.warning("rollups are not compacted, which costs speed only: %s", error)
                taken = 0
            except Exception:  # whatever it is, the next deltas deserve a try
                log.exception("rollups are not compacted, which costs speed only")
                taken = 0
            await asyncio.sleep(max(SHORTEST_PAUSE, REST * (time.monotonic() - began)))
            if taken < ENOUGH:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._enough.wait(), LONGEST_PAUSE)
