"""What the doctor says of Redis: whether it answers, how durable it is, and how the queue is."""

from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from analytics.commands.finding import BAD, GOOD, ODD, Finding
from analytics.errors import AnalyticsError, ConfigurationError
from analytics.queue.backpressure import memory_of, survey
from analytics.queue.reader import Reader
from analytics.redis import connect
from analytics.settings import Settings


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """What Redis says of itself, and how the queue in it is."""
    redis = connect(settings)
    try:
        yield Finding(GOOD, "Redis", await _version(redis))
        async for finding in _durability(redis):
            yield finding
        queue = Reader(redis)
        books, depth = await queue.books(), await queue.depth()
        text = (
            f"accepted {books.accepted} = stored {books.stored} + duplicate {books.duplicate} "
            f"+ dead-lettered {books.dead_lettered} + queued {books.queued}"
        )
        if not books.balanced:
            text += ": they do not balance, which is a bug; please report it"
        yield Finding(GOOD if books.balanced else BAD, "books", text)
        late = depth.oldest_s > settings.job_timeout * 2
        text = f"the oldest of {depth.events} events waits for {depth.oldest_s:.0f} s"
        if late:
            text += "; is a processor running?"
        yield Finding(ODD if late else GOOD, "queue", text if depth.jobs else "no event waits")
    except (RedisError, OSError, AnalyticsError) as error:
        yield Finding(BAD, "Redis", f"{error}; start it, or correct REDIS_URL")
    finally:
        await redis.aclose()


async def _version(redis: Redis) -> str:
    try:
        info = await redis.info("server")
    except ResponseError:
        return "answers, but does not say which version it is"
    name = info.get("server_name", "redis")
    return f"{name.capitalize()} {info.get(f'{name}_version', info['redis_version'])} answers"


async def _durability(redis: Redis) -> AsyncIterator[Finding]:
    try:
        warnings = await survey(redis)
    except ConfigurationError as error:
        yield Finding(BAD, "eviction", error.message)
        return
    memory = await memory_of(redis)
    if "maxmemory_policy" in memory:
        yield Finding(GOOD, "eviction", "maxmemory-policy is noeviction")
    else:
        text = "Redis does not say its maxmemory-policy; anything but noeviction may lose events"
        yield Finding(ODD, "eviction", text)
    for warning in warnings:
        yield Finding(ODD, "durability", warning)
    if not warnings:
        text = "what Redis acknowledges is on disk (append-only file, fsync always)"
        yield Finding(GOOD, "durability", text)
    limit_bytes = int(memory.get("maxmemory", 0))
    if limit_bytes:
        yield Finding(GOOD, "memory", f"Redis may use {limit_bytes / 2**20:.0f} MiB (maxmemory)")
    elif "maxmemory" in memory:
        text = (
            "Redis has no memory limit; CONFIG SET maxmemory, so that a long backlog leads to "
            "503 and not to a killed Redis"
        )
        yield Finding(ODD, "memory", text)
