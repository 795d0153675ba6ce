"""Kept answers: in Redis for a while, in a space that cannot grow, and made once by whoever asks
first.

They share Redis with the queue, which must never run out of room or time because of them: there are
so many slots of so many bytes and no more, nothing is written while Redis is rather full, and every
call has a short time-out after which it is as if nothing were kept.
"""

import asyncio
import hashlib
import logging
import os
import time
import zlib
from datetime import datetime

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

PREFIX = "analytics:answer:"
LOCK = "analytics:answering:"

SLOTS = 1024
MAX_BYTES = 64_000
"""Compressed; a larger answer is not kept. With SLOTS: 64 MB at most, whatever is asked."""

MAX_RAW_BYTES = 4_000_000
MAX_MEMORY = 0.5
"""Share of Redis' maxmemory from which on nothing is kept; the queue takes events up to
MAX_REDIS_MEMORY.
"""

MEMORY_SECONDS = 1.0
CALL_SECONDS = 0.25
LOCK_SECONDS = 15
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.03


class Made(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it was made: of which question, of which state of its project, and until when it
    may be given.
    """

    name: bytes
    mark: bytes
    until: float
    etag: str
    data: msgspec.Raw
    query: msgspec.Raw
    source: str
    watermark: datetime | None
    partial: bool


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """The same with JSON as bytes, as it lies in Redis."""

    name: bytes
    mark: bytes
    until: float
    etag: str
    data: bytes
    query: bytes
    source: str
    watermark: datetime | None
    partial: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Entry)
_WORN = (RedisError, OSError, TimeoutError)


def name_of(version: int, path: str, scope: str | None, parameters: object) -> bytes:
    """What an answer is called: for a path, for whoever may see no more than `scope` (None:
    everything), by what was asked, in any order.
    """
    text = msgspec.json.encode([version, path, scope, parameters], order="deterministic")
    return hashlib.sha256(text).digest()


class Answers:
    """The answers that are kept in one Redis. No method raises; without Redis nothing is kept."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._looked = -MEMORY_SECONDS
        self._room = False

    async def find(self, name: bytes) -> Made | None:
        """The answer of this name."""
        try:
            found = await asyncio.wait_for(self._redis.get(_slot(name)), CALL_SECONDS)
            entry = None if found is None else _decoder.decode(zlib.decompress(found))
        except (*_WORN, msgspec.MsgspecError, zlib.error) as error:
            log.debug("no kept answer: %r", error)
            return None
        if entry is None or entry.name != name or entry.until < time.time():
            return None
        values = msgspec.structs.asdict(entry)
        return Made(
            **{**values, "data": msgspec.Raw(entry.data), "query": msgspec.Raw(entry.query)}
        )

    async def keep(self, made: Made) -> None:
        """Keep an answer until it is too old, if it is small and there is room."""
        seconds = made.until - time.time()
        if seconds < 1 or len(made.data) + len(made.query) > MAX_RAW_BYTES:
            return
        entry = _Entry(
            **{**msgspec.structs.asdict(made), "data": bytes(made.data), "query": bytes(made.query)}
        )
        packed = await asyncio.to_thread(zlib.compress, _encoder.encode(entry), 1)
        if len(packed) > MAX_BYTES:
            return
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if await self._has_room():
                    await self._redis.set(_slot(made.name), packed, ex=int(seconds))
        except _WORN as error:
            log.debug("an answer is not kept: %r", error)

    async def begin(self, name: bytes) -> "Turn | None":
        """The turn to make this answer; None while another api is at it. Without Redis everybody's
        turn has come.
        """
        token = os.urandom(8)
        try:
            taken = await asyncio.wait_for(
                self._redis.set(LOCK + name.hex(), token, nx=True, px=LOCK_SECONDS * 1000),
                CALL_SECONDS,
            )
        except _WORN:
            return Turn(self._redis, name, b"")
        return Turn(self._redis, name, token) if taken else None

    async def wait(self, name: bytes, seen: Made | None) -> Made | None:
        """The answer that another api is making; None when it makes none that is kept, or takes
        long.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                working = await asyncio.wait_for(
                    self._redis.exists(LOCK + name.hex()), CALL_SECONDS
                )
            except _WORN:
                return None
            found = await self.find(name)
            if found is not None and found != seen:
                return found
            if not working:
                return None
            await asyncio.sleep(POLL_SECONDS)
        return None

    async def _has_room(self) -> bool:
        if time.monotonic() - self._looked >= MEMORY_SECONDS:
            memory = await self._redis.info("memory")
            limit = int(memory.get("maxmemory", 0))
            self._room = not limit or int(memory["used_memory"]) < limit * MAX_MEMORY
            self._looked = time.monotonic()
        return self._room


class Turn:
    """The turn to make an answer; ended by `end`, or by itself after LOCK_SECONDS."""

    def __init__(self, redis: Redis, name: bytes, token: bytes) -> None:
        self._redis = redis
        self._key = LOCK + name.hex()
        self._token = token

    async def end(self) -> None:
        """Let the next one begin, unless this turn was over already."""
        if not self._token:
            return
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if await self._redis.get(self._key) == self._token:
                    await self._redis.delete(self._key)
        except _WORN as error:
            log.debug("a turn ends by itself: %r", error)


def _slot(name: bytes) -> str:
    return f"{PREFIX}{int.from_bytes(name[:4]) % SLOTS}"
