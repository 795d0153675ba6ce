"""The day's salt, by which visitors without an id are told apart: random, shared by all collectors,
gone when its day is over.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from redis.asyncio import Redis

from analytics.errors import Unavailable
from analytics.redis.connection import reaching

SALT = "analytics:salt:"
"""One key a UTC day."""

GRACE = timedelta(minutes=10)
"""How long a salt outlives its day by Redis' clock, for collectors whose clocks are late."""

BYTES = 32


class Salts:
    """One salt at a time: with the first request of the next day the old one is forgotten."""

    def __init__(
        self, redis: Redis, *, fresh: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._redis = redis
        self._fresh = fresh
        self._day: date | None = None
        self._salt = b""

    async def of(self, moment: datetime) -> bytes:
        """The salt of the moment's UTC day. Raises Unavailable when Redis does not give it."""
        day = moment.astimezone(UTC).date()
        if day != self._day:
            self._day, self._salt = None, b""
            salt = await self._agree(day)
            self._day, self._salt = day, salt
            return salt
        return self._salt

    async def _agree(self, day: date) -> bytes:
        """The salt that the first collector to ask has set."""
        name = SALT + day.isoformat()
        ends = datetime.combine(day, time.min, UTC) + timedelta(days=1) + GRACE
        with reaching():
            await self._redis.set(name, self._fresh(BYTES), nx=True, exat=int(ends.timestamp()))
            salt: bytes | None = await self._redis.get(name)
        if salt is None:
            raise Unavailable(
                "the salt of this day has expired: the clocks of this collector and of Redis "
                "differ",
                code="no_salt",
            )
        return salt
