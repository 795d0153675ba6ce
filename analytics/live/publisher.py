"""The publishing half: counts stored events, and sends them where somebody listens."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics.events import Event, pack
from analytics.live.messages import CHANNEL, COUNTS, PUBLISH, chunks

log = logging.getLogger(__name__)

VISITORS = "analytics:live:visitors:"
"""Prefix of HyperLogLogs of actors, one for each project and minute of the events' timestamps."""

WINDOW_MINUTES = 5

_uncounted: WeakKeyDictionary[Redis, Counter[str]] = WeakKeyDictionary()
"""Events stored while Redis was away, by project.

They are counted with the next events, so that listeners learn of the gap.
"""


async def publish(redis: Redis, events: Sequence[Event]) -> None:
    """Publish committed events; one round trip while nobody listens.

    Never raises: while the bus is away listeners have a gap, and no event is lost.
    """
    by_project: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_project[event.project].append(event)
    uncounted = _uncounted.setdefault(redis, Counter())
    left = Counter(
        {project: uncounted.pop(project, 0) + len(each) for project, each in by_project.items()}
    )
    try:
        if by_project:
            await _publish(redis, by_project, left)
    except (RedisError, OSError) as error:
        log.warning("realtime could not be told of stored events: %s", error)
    finally:
        uncounted.update(+left)


async def _publish(redis: Redis, by_project: dict[str, list[Event]], left: Counter[str]) -> None:
    """Count the events in `left`, and send them where somebody listens.

    Takes the counted events off `left`. Raises the first error of Redis.
    """
    async with redis.pipeline(transaction=False) as pipe:
        for project in by_project:
            pipe.execute_command(
                "EVAL", PUBLISH, 1, COUNTS, project, CHANNEL + project, left[project], ""
            )
        _add_visitors(pipe, by_project)
        answers = await pipe.execute(raise_on_error=False)
    watched = []
    for project, answer in zip(by_project, answers, strict=False):
        if answer == -1:
            watched.append(project)
        elif isinstance(answer, int):
            left[project] = 0
    parts = []
    async with redis.pipeline(transaction=False) as pipe:
        for project in watched:
            earlier = left[project] - len(by_project[project])  # counted with the first chunk
            for chunk in chunks(by_project[project]):
                number = earlier + len(chunk)
                pipe.execute_command(
                    "EVAL", PUBLISH, 1, COUNTS, project, CHANNEL + project, number, pack(chunk)
                )
                parts.append((project, number))
                earlier = 0
        more = await pipe.execute(raise_on_error=False)
    for (project, number), answer in zip(parts, more, strict=True):
        if isinstance(answer, int):
            left[project] -= number
    for answer in (*answers, *more):
        if isinstance(answer, Exception):
            raise answer


def _add_visitors(pipe: Any, by_project: dict[str, list[Event]]) -> None:
    """Add the actors of the last minutes; events imported from long ago are no live visitors."""
    now = _minute(time.time())
    since, until = now + 1 - WINDOW_MINUTES, now + 2
    actors: dict[str, set[str]] = defaultdict(set)
    for project, events in by_project.items():
        for event in events:
            minute = _minute(event.timestamp.timestamp())
            if since <= minute < until:
                actors[f"{VISITORS}{project}:{minute}"].add(event.actor)
    for key, each in actors.items():
        pipe.pfadd(key, *each)
        pipe.expire(key, (WINDOW_MINUTES + 2) * 60)


def _minute(seconds: float) -> int:
    """The minute, since 1970, of a moment in seconds since 1970."""
    return int(seconds // 60)


async def visitors(redis: Redis, project: str) -> int:
    """About how many actors (within 1 %) had events in the current minute and the four before."""
    now = _minute(time.time())
    keys = [f"{VISITORS}{project}:{now - ago}" for ago in range(WINDOW_MINUTES)]
    return int(await redis.pfcount(*keys))
