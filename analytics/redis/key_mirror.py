"""The mirror of API keys and projects in Redis, for roles without a database."""

from datetime import UTC, datetime

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import NotFound, Unavailable
from analytics.events import DEFAULT_PROJECT
from analytics.projects.key import ApiKey
from analytics.projects.register import read_keys
from analytics.tables import projects

KEYS = "analytics:keys"
"""Redis hash, the mirror of the table `api_keys`: hex SHA-256 of a key's text → msgpack ApiKey."""

SYNCED = "analytics:keys:synced"
"""Redis string: when the mirror was last written. Without it, a missing key proves nothing."""

PROJECTS = "analytics:projects"
"""Redis set, the mirror of the table `projects`: their names. Without it, nothing is proved."""

PROJECTS_SECONDS = 600
"""After so long without a writer the names are forgotten: one of an older release may be at work,
which does not write them.
"""

_LOCK = 7_021_946_001_377_513
"""The advisory lock of PostgreSQL that one writer of the mirror holds."""


class RedisKeys:
    """Keys looked up in the mirror; a KeyTable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, digest: bytes) -> ApiKey | None:
        """See KeyTable."""
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hget(KEYS, digest.hex())
                pipe.exists(SYNCED)
                packed, synced = await pipe.execute()
            key = None if packed is None else msgspec.msgpack.decode(packed, type=ApiKey)
        except (RedisError, OSError, msgspec.DecodeError) as error:
            raise Unavailable("keys cannot be checked: Redis does not answer") from error
        if key is None and not synced:
            raise Unavailable(
                "keys cannot be checked: their mirror in Redis has not been written yet"
            )
        return key


class RedisProjects:
    """Which projects exist, by the mirror."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def require(self, name: str) -> None:
        """Raises NotFound for a name that certainly no project has, Unavailable without Redis."""
        if await self.knows(name) is False:
            raise NotFound(f"there is no project {name!r}", code="no_project", field="project")

    async def knows(self, name: str) -> bool | None:
        """Whether there is such a project; None without a mirror. Raises Unavailable."""
        if name == DEFAULT_PROJECT:
            return True
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.sismember(PROJECTS, name)
                pipe.exists(PROJECTS)
                found, written = await pipe.execute()
        except (RedisError, OSError) as error:
            raise Unavailable("projects cannot be checked: Redis does not answer") from error
        return bool(found) if written else None


async def mirror(engine: AsyncEngine, redis: Redis) -> int:
    """Write all keys and projects to Redis in one step; how many keys there are.

    A lock keeps a writer that read the table earlier from overwriting a later one.
    """
    async with engine.begin() as connection:
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        keys = await read_keys(connection)
        packed = {digest.hex(): msgspec.msgpack.encode(key) for digest, key in keys.items()}
        names = (await connection.execute(select(projects.c.name))).scalars()
        async with redis.pipeline(transaction=True) as pipe:
            pipe.delete(KEYS, PROJECTS)
            if packed:
                pipe.hset(KEYS, mapping=packed)
            pipe.sadd(PROJECTS, DEFAULT_PROJECT, *names)
            pipe.expire(PROJECTS, PROJECTS_SECONDS)
            pipe.set(SYNCED, datetime.now(UTC).isoformat())
            await pipe.execute()
    return len(keys)
