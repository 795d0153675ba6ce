"""A queue in which nothing moves: an import that waits for it says so."""

import asyncio
from collections.abc import Callable

STALLED_SECONDS = 10.0


class Stall:
    """Looks at the queue again and again; calls `note` each time it stood still for long."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._queued = -1
        self._still_s = 0.0

    async def pause(self, queued: int, seconds: float) -> None:
        """So many events are queued now; sleep until the next look."""
        self._still_s = self._still_s + seconds if queued == self._queued else 0.0
        if self._still_s >= STALLED_SECONDS:
            self._note(
                f"{queued} events wait in the queue and none is being stored: does a processor run?"
            )
            self._still_s = 0.0
        self._queued = queued
        await asyncio.sleep(seconds)
