"""The mirror of the keys in Redis, for roles without a database."""

from datetime import UTC, datetime

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import Unavailable
from analytics.projects.key import Key
from analytics.projects.register import read_keys

KEYS = "analytics:keys"
"""Redis hash: hex SHA-256 of a key → msgpack Key; the mirror of `api_keys` for roles without a
database.
"""

SYNCED = "analytics:keys:synced"
"""Redis string: when the mirror was last written. Without it, absence from the mirror proves
nothing.
"""

_LOCK = 7_021_946_001_377_513


class RedisKeys:
    """The mirror in Redis: all that a collector needs to know a key."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, digest: bytes) -> Key | None:
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hget(KEYS, digest.hex())
                pipe.exists(SYNCED)
                found, synced = await pipe.execute()
            key = None if found is None else msgspec.msgpack.decode(found, type=Key)
        except (RedisError, OSError, msgspec.DecodeError) as error:
            raise Unavailable("keys cannot be checked: Redis does not answer") from error
        if key is None and not synced:
            raise Unavailable(
                "keys cannot be checked: their mirror in Redis has not been written yet"
            )
        return key


async def mirror(engine: AsyncEngine, redis: Redis) -> int:
    """Write all keys to Redis in one step, and return how many. The lock keeps an older reading
    from undoing a newer one.
    """
    async with engine.begin() as connection:
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        keys = await read_keys(connection)
        async with redis.pipeline(transaction=True) as pipe:
            pipe.delete(KEYS)
            if keys:
                pipe.hset(
                    KEYS,
                    mapping={
                        digest.hex(): msgspec.msgpack.encode(key) for digest, key in keys.items()
                    },
                )
            pipe.set(SYNCED, datetime.now(UTC).isoformat())
            await pipe.execute()
    return len(keys)
