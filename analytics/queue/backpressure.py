"""Whether the queue accepts events, and why not.

It refuses while some memory is still free, because the processors need it to drain the queue.
"""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from analytics import metrics
from analytics.errors import ConfigurationError, Unavailable
from analytics.queue import scripts
from analytics.redis.connection import FULL_RETRY_SECONDS, raises_unavailable
from analytics.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class Backpressure:
    """Looks at Redis once a second, so that an append need not.

    `_refusal` is the reason to refuse events, None while they are accepted.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._refusal: Unavailable | None = Unavailable("the queue is not open")
        self._surveyed = False

    def check(self) -> None:
        """Raises Unavailable while the queue refuses events."""
        if self._refusal is not None:
            raise Unavailable(
                self._refusal.message,
                code=self._refusal.code,
                retry_after=self._refusal.retry_after,
            )

    async def look(self) -> None:
        """Look once, and refuse events when Redis cannot be reached.

        Raises ConfigurationError when Redis may evict the queue.
        """
        try:
            with raises_unavailable():
                if not self._surveyed:
                    for warning in await survey(self._redis):
                        log.warning("%s", warning)
                    self._surveyed = True
                memory = await memory_of(self._redis)
                queued = await scripts.queued(self._redis)
        except Unavailable as error:
            self._decide(error)
        else:
            _refuse_eviction(memory)
            self._decide(self._full(memory, queued))

    def refuse(self, error: Unavailable) -> None:
        """Refuse until the next look, because an append just failed with this error."""
        self._decide(error)

    async def watch(self) -> None:
        """Look every POLL_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.look()
            except ConfigurationError as error:
                self._decide(
                    Unavailable(error.message, code="queue_unsafe", retry_after=FULL_RETRY_SECONDS)
                )
            except Exception:  # whatever it is, the watcher goes on
                log.exception("looking at the queue failed")

    def _full(self, memory: dict[str, int | str], queued: int) -> Unavailable | None:
        used, limit = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
        if queued >= self._settings.max_queued_events:
            why = f"{queued} events wait, MAX_QUEUED_EVENTS is {self._settings.max_queued_events}"
        elif limit and used >= limit * self._settings.max_redis_memory:
            share = self._settings.max_redis_memory
            why = f"Redis uses {used / limit:.0%} of its maxmemory, MAX_REDIS_MEMORY is {share:.0%}"
        else:
            return None
        return Unavailable(
            f"the queue is full: {why}", code="queue_full", retry_after=FULL_RETRY_SECONDS
        )

    def _decide(self, refusal: Unavailable | None) -> None:
        if refusal is not None and (self._refusal is None or self._refusal.code != refusal.code):
            log.warning("refusing events: %s", refusal.message)
        elif refusal is None and self._refusal is not None:
            log.info("taking events")
        self._refusal = refusal
        metrics.queue_admitting.set({}, 0 if refusal else 1)


async def survey(redis: Redis) -> list[str]:
    """What in Redis' configuration weakens the guarantee of durability, in sentences.

    Raises ConfigurationError when Redis may evict the queue.
    """
    _refuse_eviction(await memory_of(redis))
    try:
        persistence = await redis.info("persistence")
        if not persistence["aof_enabled"]:
            return [
                "Redis' append-only file is off: a restart of Redis loses acknowledged events"
                " (CONFIG SET appendonly yes)"
            ]
        fsync = (await redis.config_get("appendfsync"))["appendfsync"]
    except (ResponseError, KeyError):
        return [
            "Redis does not say whether its append-only file is on with appendfsync always; "
            "without them a crash may lose acknowledged events"
        ]
    if fsync != "always":
        return [
            f"Redis' appendfsync is {fsync}: a power cut may lose acknowledged events"
            " (CONFIG SET appendfsync always)"
        ]
    return []


async def memory_of(redis: Redis) -> dict[str, int | str]:
    """The answer of INFO memory; empty where that is forbidden, as in some managed Redis."""
    try:
        memory: dict[str, int | str] = await redis.info("memory")
    except ResponseError:
        return {}
    return memory


def _refuse_eviction(memory: dict[str, int | str]) -> None:
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise ConfigurationError(
            f"Redis' maxmemory-policy is {policy}, which may evict queued events;"
            " CONFIG SET maxmemory-policy noeviction",
            field="REDIS_URL",
        )
