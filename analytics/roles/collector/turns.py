"""Large bodies take turns, so that threads and memory stay bounded however many come at once."""

import asyncio

from analytics.errors import TooLarge
from analytics.roles.collector.body import THREAD_BYTES, beside, work_of
from analytics.roles.collector.inflate import inflate

LARGE_AT_ONCE = 2
"""Requests with a large body that are processed at once; each may take 100 MB, for seconds."""


class Turns:
    """The turns of one collector's large bodies."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LARGE_AT_ONCE)

    def inflated(self, body: bytes, encoding: bytes) -> "Turn":
        """A context that gives a body decompressed as its encoding says.

        A small one comes at once. A large one waits for its turn, and has it while the context is
        open. Entering raises what `inflate` raises.
        """
        return Turn(self._free, body, encoding)


class Turn:
    """The turn of one body. A class, because every request enters one."""

    __slots__ = ("_body", "_encoding", "_free", "_taken")

    def __init__(self, free: asyncio.Semaphore, body: bytes, encoding: bytes) -> None:
        self._free = free
        self._body = body
        self._encoding = encoding
        self._taken = False

    async def __aenter__(self) -> bytes:
        small = _small(self._body, self._encoding)
        if small is not None:
            return small
        await self._free.acquire()
        self._taken = True
        try:
            return await beside(THREAD_BYTES + 1, inflate, self._body, self._encoding)
        except BaseException:
            self._free.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._taken:
            self._free.release()


def _small(body: bytes, encoding: bytes) -> bytes | None:
    """A body that is work for at most THREAD_BYTES, decompressed; None for a larger one."""
    try:
        text = inflate(body, encoding, THREAD_BYTES)
    except TooLarge:
        return None
    return text if work_of(text) <= THREAD_BYTES else None
