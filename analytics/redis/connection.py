"""How Redis is reached: with bounds on every wait, and with no repetition behind the caller's back."""

import contextlib
from collections.abc import Iterator

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import OutOfMemoryError, RedisError

from analytics.errors import Unavailable
from analytics.settings import Settings

TIMEOUT_SECONDS = 5.0
CONNECTIONS = 64
HEALTH_SECONDS = 30

FULL_RETRY_SECONDS = 5


def connect(settings: Settings, *, timeout: float = TIMEOUT_SECONDS) -> Redis:
    """A client that connects when it is first used. Connecting, and each command, may take
    `timeout` seconds; nothing is sent twice.
    """
    pool = BlockingConnectionPool.from_url(
        settings.redis(),
        max_connections=CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=HEALTH_SECONDS,
    )
    return Redis.from_pool(pool)


@contextlib.contextmanager
def reaching() -> Iterator[None]:
    """Turns whatever Redis or the way to it raises into Unavailable, whose message may be shown to
    anyone.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        if isinstance(error, OutOfMemoryError) or "OOM" in str(
            error
        ):  # the latter from scripts of Redis 6
            raise Unavailable(
                "the queue is full: Redis is near its limit of memory, maxmemory",
                code="queue_full",
                retry_after=FULL_RETRY_SECONDS,
            ) from error
        raise Unavailable(
            "the queue cannot be reached: Redis is down or does not answer in time",
            code="queue_unreachable",
        ) from error
