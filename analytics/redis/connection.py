"""The connection to Redis: every wait is bounded, and no command is sent twice by itself."""

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
"""What a client is told to wait when the queue is full."""


def connect(settings: Settings, *, timeout: float = TIMEOUT_SECONDS) -> Redis:
    """A client that connects when it is first used.

    Connecting, and each command, may take `timeout` seconds. Nothing is sent twice.
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
def raises_unavailable() -> Iterator[None]:
    """Turn any error of Redis or of the network into Unavailable.

    Its message holds nothing secret, so a client may see it.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        # a script of Redis 6 says OOM without the error's own type
        if isinstance(error, OutOfMemoryError) or "OOM" in str(error):
            raise Unavailable(
                "the queue is full: Redis is near its limit of memory, maxmemory",
                code="queue_full",
                retry_after=FULL_RETRY_SECONDS,
            ) from error
        raise Unavailable(
            "the queue cannot be reached: Redis is down or does not answer in time",
            code="queue_unreachable",
        ) from error
