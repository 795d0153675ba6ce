"""Jobs that cannot be stored as they are: each is split, or becomes a dead letter.

Only what is at fault: a job that takes too long is split down to the event that does.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis

from analytics.events import Event, Job, Outcome, pack
from analytics.queue import body, scripts
from analytics.queue.claims import Claims
from analytics.queue.gather import Settle
from analytics.queue.pace import backoff

log = logging.getLogger(__name__)

Keep = Callable[[str, int, bytes, str, str], Awaitable[None]]
"""Keeps a job as a dead letter: job id, events, body, reason, message."""

Recorded = Callable[[str], Awaitable[Outcome | None]]
"""The outcome of a job by its id, once no transaction has it any more; None: it is not stored."""

PARTS = 8
"""A job that is too slow even alone is split into so many."""

TIMES_TOO_SLOW = 3
"""So often an event may be too slow alone, in all of JOB_TIMEOUT; then it becomes a dead letter."""

MESSAGE_CHARACTERS = 500


class Burial:
    """Takes such jobs out of the queue of one processor, which holds it by its `token`."""

    def __init__(
        self,
        redis: Redis,
        token: str,
        claims: Claims,
        settle: Settle,
        keep: Keep,
        recorded: Recorded,
        job_timeout: int,
    ) -> None:
        self._redis = redis
        self._token = token
        self._claims = claims
        self._settle = settle
        self._keep = keep
        self._recorded = recorded
        self._job_timeout = job_timeout

    async def relieve(self, job: Job, times: int) -> bool:
        """Take a job out of the queue that was too slow, alone, so many times.

        False if it is to be tried again. It is split, or its only event becomes a dead letter. Dead
        letters that are replayed are that again. A job may be stored though: its COMMIT may take
        too long to answer.
        """
        if await self._is_stored(job):
            return True
        if job.replays:
            log.error("job %s replays dead letters and takes too long: they stay", job.id)
            await self._settle([job], [Outcome(dead_lettered=len(job.events))])
            return True
        parts = _parts(job.events)
        if len(parts) > 1:
            return await self._split(job, parts)
        if times < TIMES_TOO_SLOW:
            return False
        log.error("an event takes too long, and is set aside: job %s", job.id)
        message = f"it took longer than {self._job_timeout} s alone, while others did not"
        await self._keep(job.id, 1, pack(job.events), "too_slow", message)
        await self._settle([job], [Outcome(dead_lettered=1)])
        return True

    async def _split(self, job: Job, parts: Sequence[Sequence[Event]]) -> bool:
        """Whether it was split: False if another processor holds it by now."""
        log.warning("job %s takes too long, and is split into %d", job.id, len(parts))
        jobs = [(_alone_id(part), body.write(pack(part))) for part in parts]
        words = [word for pair in jobs for word in pair]
        return bool(await scripts.SPLIT.run(self._redis, self._token, job.id, *words))

    async def bury(self, job_id: str) -> None:
        """Dead-letter a job that cannot be run.

        Its body is gone, cannot be read, or names a function unknown here.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zscore(scripts.QUEUE, job_id)
            pipe.get(scripts.JOB + job_id)
            pipe.get(scripts.RETRY + job_id)
            score, job, tries = await pipe.execute()
        if score is None:  # another processor settled it since it was claimed here
            return
        events = scripts.count_events(job_id)
        try:
            if await self._is_stored(Job(job_id, ())):
                return
            await self._keep(job_id, events, job or b"", *_fault(job))
        except Exception:
            self._claims.retry(job_id, backoff(int(tries or 1)))
            raise
        await self._settle([Job(job_id, ())], [Outcome(dead_lettered=events)])

    async def _is_stored(self, job: Job) -> bool:
        """Whether a job is stored after all. If so, it is settled with what came of it."""
        outcome = await self._recorded(job.id)
        if outcome is not None:
            await self._settle([job], [outcome])
        return outcome is not None


def _parts(events: Sequence[Event]) -> list[Sequence[Event]]:
    """The events by their projects; those of one project in PARTS parts, or one each."""
    projects: dict[str, list[Event]] = {}
    for event in events:
        projects.setdefault(event.project, []).append(event)
    if len(projects) > 1:
        return [*projects.values()]
    size = -(-len(events) // PARTS)
    return [events[at : at + size] for at in range(0, len(events), size)]


def _alone_id(events: Sequence[Event]) -> str:
    return scripts.job_id(len(events), {event.project for event in events}, alone=True)


def _fault(job: bytes | None) -> tuple[str, str]:
    """Reason and message for a body that arq gave up; None for a body that is gone."""
    if job is None:
        return "expired", "the body of the job is gone"
    try:
        raw = body.read(job)
        return "unknown_function", f"no function {str(raw['f'])[:100]!r}"
    except Exception as error:
        return "undecodable", f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
