"""The publishing half: counts what was stored, and sends it where somebody listens."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics.events import Event, pack
from analytics.live.messages import CHANNEL, COUNTS, PUBLISH, chunks

log = logging.getLogger(__name__)

VISITORS = "analytics:live:visitors:"
"""HyperLogLogs of actors, one a project and minute of the events' own time."""

WINDOW_MINUTES = 5

_owed: WeakKeyDictionary[Redis, Counter[str]] = WeakKeyDictionary()
"""Events stored while Redis was away, by project: counted with the next ones, so that listeners
learn of the gap.
"""


async def publish(redis: Redis, events: Sequence[Event]) -> None:
    """Tell who listens of events that are committed. One round trip while nobody does; never
    raises: a lost bus is a gap, not a lost event.
    """
    by_project: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_project[event.project].append(event)
    owed = _owed.setdefault(redis, Counter())
    left = Counter(
        {project: owed.pop(project, 0) + len(listed) for project, listed in by_project.items()}
    )
    try:
        if by_project:
            await _publish(redis, by_project, left)
    except (RedisError, OSError) as error:
        log.warning("realtime could not be told of stored events: %s", error)
    finally:
        owed.update(+left)


async def _publish(redis: Redis, by_project: dict[str, list[Event]], left: Counter[str]) -> None:
    """Count what is `left` of each project, with the events themselves where somebody listens;
    takes off `left` what is counted.
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
            unsaid = left[project] - len(by_project[project])
            for chunk in chunks(by_project[project]):
                pipe.execute_command(
                    "EVAL",
                    PUBLISH,
                    1,
                    COUNTS,
                    project,
                    CHANNEL + project,
                    unsaid + len(chunk),
                    pack(chunk),
                )
                parts.append((project, unsaid + len(chunk)))
                unsaid = 0
        more = await pipe.execute(raise_on_error=False)
    for (project, number), answer in zip(parts, more, strict=True):
        if isinstance(answer, int):
            left[project] -= number
    if failure := next(
        (answer for answer in (*answers, *more) if isinstance(answer, Exception)), None
    ):
        raise failure


def _add_visitors(pipe: Any, by_project: dict[str, list[Event]]) -> None:
    """Note who was here in the minutes that still count; what is imported from long ago is no
    visit.
    """
    minute = int(time.time() // 60)
    since, until = (
        datetime.fromtimestamp((minute + after) * 60, UTC) for after in (1 - WINDOW_MINUTES, 2)
    )
    minutes: dict[str, set[str]] = defaultdict(set)
    for project, events in by_project.items():
        for event in events:
            if since <= event.timestamp < until:
                minutes[f"{VISITORS}{project}:{int(event.timestamp.timestamp() // 60)}"].add(
                    event.actor
                )
    for key, actors in minutes.items():
        pipe.pfadd(key, *actors)
        pipe.expire(key, (WINDOW_MINUTES + 2) * 60)


async def visitors(redis: Redis, project: str) -> int:
    """About how many actors (within 1 %) had events in the current minute and the four before."""
    now = int(time.time() // 60)
    return int(
        await redis.pfcount(*(f"{VISITORS}{project}:{now - ago}" for ago in range(WINDOW_MINUTES)))
    )
