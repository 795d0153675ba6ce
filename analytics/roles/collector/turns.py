"""Large bodies take turns, so that threads and memory stay bounded however many come at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from analytics.errors import TooLarge
from analytics.roles.collector.body import THREAD_BYTES, beside
from analytics.roles.collector.inflate import inflate

LARGE_AT_ONCE = 2
"""Requests with a large body that are processed at once; each may take 100 MB, for seconds."""


class Turns:
    """The turns of one collector's large bodies."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LARGE_AT_ONCE)

    @asynccontextmanager
    async def inflated(self, body: bytes, encoding: bytes) -> AsyncIterator[bytes]:
        """A body decompressed. Raises what `inflate` raises.

        A small one comes at once. A large one waits for its turn, and has it while the context is
        open.
        """
        small = _small(body, encoding)
        if small is not None:
            yield small
            return
        async with self._free:
            yield await beside(THREAD_BYTES + 1, inflate, body, encoding)


def _small(body: bytes, encoding: bytes) -> bytes | None:
    """A body of at most THREAD_BYTES, decompressed; None for a larger one."""
    try:
        text = inflate(body, encoding, THREAD_BYTES)
    except TooLarge:
        return None
    return text if len(text) <= THREAD_BYTES else None
