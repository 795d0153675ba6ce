"""The compactor decides when to compact: soon after deltas are stored, in one processor at a time.

It uses a bounded share of one core.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from analytics.errors import TransientStoreError

log = logging.getLogger(__name__)

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
"""The pause between two compactions; questions read what is stored meanwhile from its deltas."""

ENOUGH_EVENTS = 20_000
"""So many events are compacted at once; fewer wait for others that go to the same rows."""

REST_FACTOR = 3.0
"""The pause after a compaction is at least this many times as long as the compaction."""


class Compactor:
    """Calls `compact`, which returns how many events it has compacted.

    `compact` does nothing while another processor compacts.
    """

    def __init__(self, compact: Callable[[], Awaitable[int]]) -> None:
        self._compact = compact
        self._events = 0
        self._enough = asyncio.Event()

    def stored(self, events: int) -> None:
        """Note that so many events have left deltas."""
        self._events += events
        if self._events >= ENOUGH_EVENTS:
            self._enough.set()

    async def run(self) -> None:
        """Compact until cancelled. After a failure the next run does it."""
        while True:
            began = time.monotonic()
            self._events = 0
            self._enough.clear()
            try:
                taken = await self._compact()
            except TransientStoreError as error:
                log.warning("rollups are not compacted, which costs speed only: %s", error)
                taken = 0
            except Exception:  # whatever it is, the compactor goes on
                log.exception("rollups are not compacted, which costs speed only")
                taken = 0
            await asyncio.sleep(
                max(SHORTEST_PAUSE_SECONDS, REST_FACTOR * (time.monotonic() - began))
            )
            if taken < ENOUGH_EVENTS:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LONGEST_PAUSE_SECONDS):
                        await self._enough.wait()
