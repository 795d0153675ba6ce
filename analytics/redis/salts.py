"""The salt of each UTC day, with which visitors without an id are told apart.

It is random, shared by all collectors, and gone soon after its day is over.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from redis.asyncio import Redis

from analytics.errors import Unavailable
from analytics.redis.connection import raises_unavailable

SALT = "analytics:salt:"
"""One key a UTC day."""

GRACE = timedelta(minutes=10)
"""How long a salt outlives its day by Redis' clock, for collectors whose clocks are late."""

SALT_BYTES = 32


class Salts:
    """The salt of one day at a time; the first request of the next day replaces it."""

    def __init__(
        self, redis: Redis, *, fresh: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._redis = redis
        self._fresh = fresh
        self._day: date | None = None
        self._salt = b""

    async def of(self, moment: datetime) -> bytes:
        """The salt of a moment's UTC day. Raises Unavailable when Redis does not answer."""
        day = moment.astimezone(UTC).date()
        if day != self._day:
            self._day, self._salt = None, b""
            salt = await self._agree(day)
            self._day, self._salt = day, salt
            return salt
        return self._salt

    async def _agree(self, day: date) -> bytes:
        """The salt in Redis, set by whichever collector asks first."""
        key = SALT + day.isoformat()
        ends = datetime.combine(day, time.min, UTC) + timedelta(days=1) + GRACE
        with raises_unavailable():
            await self._redis.set(key, self._fresh(SALT_BYTES), nx=True, exat=int(ends.timestamp()))
            salt: bytes | None = await self._redis.get(key)
        if salt is None:
            raise Unavailable(
                "the salt of this day has expired: the clocks of this collector and of Redis "
                "differ",
                code="no_salt",
            )
        return salt
