"""Slots: cached answers in Redis, in a space that cannot grow.

The answers share Redis with the queue, which must never run out of room or time because of them.
So there is a fixed number of slots of bounded size, and nothing is written while Redis is half
full. Every call has a short time-out; after it, a query is answered as if nothing were cached.
"""

import asyncio
import logging
import time
import zlib
from datetime import datetime

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

PREFIX = "analytics:answer:"

SLOTS = 1024
MAX_SLOT_BYTES = 64_000
"""Compressed; a larger answer is not cached. With SLOTS: 64 MB at most, whatever is asked."""

MAX_RAW_BYTES = 4_000_000
"""Of JSON, before it is compressed; a larger answer is not cached either."""

MAX_MEMORY_SHARE = 0.5
"""Of Redis' maxmemory: above it nothing is written. The queue takes events up to MAX_REDIS_MEMORY.
"""

MEMORY_CHECK_SECONDS = 1.0
CALL_SECONDS = 0.25


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it was made, and as it lies in Redis."""

    name: bytes
    """Of the query (`name_of`)."""
    fingerprint: bytes
    """Of all that the answer depends on; empty if the answer is not to be cached."""
    until: float
    """Unix time up to which it may be given from the cache."""
    etag: str
    data: bytes
    """JSON."""
    query: bytes
    """JSON of all parameters."""
    source: str
    watermark: datetime | None
    partial: bool
    hint: str | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answer)
_REDIS_ERRORS = (RedisError, OSError, TimeoutError)


class Slots:
    """The answers cached in one Redis. No method raises; without Redis nothing is cached."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._checked = -MEMORY_CHECK_SECONDS
        self._room = False

    async def find(self, name: bytes) -> Answer | None:
        """The answer of this name, unless it is too old."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                packed = await self._redis.get(_slot(name))
            answer = None if packed is None else _decoder.decode(zlib.decompress(packed))
        except (*_REDIS_ERRORS, msgspec.MsgspecError, zlib.error) as error:
            log.debug("no cached answer: %r", error)
            return None
        # names of one slot overwrite each other
        if answer is None or answer.name != name or answer.until < time.time():
            return None
        return answer

    async def keep(self, answer: Answer) -> None:
        """Cache an answer until it is too old, if it has a watermark, is small and there is room.

        Without a watermark nobody knows what the answer holds, so it is not given twice.
        """
        seconds = answer.until - time.time()
        too_large = len(answer.data) + len(answer.query) > MAX_RAW_BYTES
        if answer.watermark is None or seconds < 1 or too_large:
            return
        packed = await asyncio.to_thread(zlib.compress, _encoder.encode(answer), 1)
        if len(packed) > MAX_SLOT_BYTES:
            return
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if await self._has_room():
                    await self._redis.set(_slot(answer.name), packed, ex=int(seconds))
        except _REDIS_ERRORS as error:
            log.debug("an answer is not cached: %r", error)

    async def _has_room(self) -> bool:
        if time.monotonic() - self._checked >= MEMORY_CHECK_SECONDS:
            memory = await self._redis.info("memory")
            limit = int(memory.get("maxmemory", 0))
            self._room = not limit or int(memory["used_memory"]) < limit * MAX_MEMORY_SHARE
            self._checked = time.monotonic()
        return self._room


def _slot(name: bytes) -> str:
    return f"{PREFIX}{int.from_bytes(name[:4]) % SLOTS}"
