"""What the queue holds: its depth, the books, the watermark, and a look for one event."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from analytics import metrics
from analytics.events import Books, Event
from analytics.queue import body, keys
from analytics.redis.connection import reaching

FIND_EVENTS = 200_000
CHUNK_EVENTS = 5_000


class Depth(msgspec.Struct, frozen=True):
    """What waits or is in work: jobs, their events, and the seconds since the oldest was appended
    (0 when nothing waits).
    """

    jobs: int
    events: int
    oldest_s: float


class Horizon(msgspec.Struct, frozen=True):
    """How far the store is: the watermark, and whether anything acknowledged since waits or is in
    work.
    """

    watermark: datetime
    waiting: bool


class _State(msgspec.Struct, frozen=True):
    """All of it at one instant of Redis' clock; times in ms."""

    now: int
    oldest: int | None
    jobs: int
    books: Books


class Reader:
    """The queue for those who only look. Every method raises Unavailable when Redis does not
    answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def depth(self) -> Depth:
        state = await self._state()
        age = 0 if state.oldest is None else max(0, state.now - state.oldest)
        return Depth(state.jobs, state.books.queued, age / 1000)

    async def books(self) -> Books:
        return (await self._state()).books

    async def watermark(self) -> datetime:
        """Every event acknowledged before this instant, in UTC by Redis' clock, was settled before
        this returned: ask before you query.

        It is the time at which the oldest unsettled job was appended, however often that job was
        retried; without one it is now.
        """
        return (await self.horizon()).watermark

    async def horizon(self) -> Horizon:
        """The watermark, and whether it is held back by a job; when it is not, everything
        acknowledged so far was settled.
        """
        state = await self._state()
        return Horizon(
            datetime.fromtimestamp(
                (state.now if state.oldest is None else state.oldest) / 1000, UTC
            ),
            state.oldest is not None,
        )

    async def waiting(self, job_ids: Sequence[str]) -> set[str]:
        """Those of the jobs that are not settled."""
        if not job_ids:
            return set()
        with reaching():
            scores = await self._redis.zmscore(keys.QUEUE, list(job_ids))
        return {job_id for job_id, score in zip(job_ids, scores, strict=True) if score is not None}

    async def find(self, project: str, event_id: UUID) -> Event | None:
        """An event that waits, newest first, among the last 200,000 or so.

        Ask the store after this, not before: an event that is settled in between would be in
        neither.
        """
        with reaching():
            ids = [
                job_id.decode()
                for job_id in await self._redis.zrevrange(keys.PENDING, 0, FIND_EVENTS)
            ]
            for chunk in _chunks(ids):
                for found in await self._redis.mget([keys.JOB + job_id for job_id in chunk]):
                    if (
                        found is not None
                        and event_id.bytes in found
                        and (event := _event(found, project, event_id))
                    ):
                        return event
        return None

    async def refresh_gauges(self) -> None:
        """Bring the queue's gauges and the books up to date, for who scrapes."""
        state = await self._state()
        metrics.queue_depth.set({}, state.books.queued)
        metrics.queue_jobs.set({}, state.jobs)
        metrics.queue_oldest.set(
            {}, 0 if state.oldest is None else max(0, state.now - state.oldest) / 1000
        )
        for account, events in msgspec.structs.asdict(state.books).items():
            metrics.books.set({"account": account}, events)

    async def _state(self) -> _State:
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.time()
                pipe.zrange(keys.PENDING, 0, 0, withscores=True)
                pipe.zcard(keys.PENDING)
                pipe.hgetall(keys.BOOKS)
                (seconds, micros), oldest, jobs, accounts = await pipe.execute()
        books = msgspec.convert(
            {name.decode(): int(events) for name, events in accounts.items()}, Books
        )
        return _State(
            seconds * 1000 + micros // 1000, int(oldest[0][1]) if oldest else None, jobs, books
        )


def _chunks(job_ids: Sequence[str]) -> Iterator[list[str]]:
    """Job ids in groups that hold CHUNK_EVENTS events or one job, FIND_EVENTS in all."""
    chunk: list[str] = []
    held = total = 0
    for job_id in job_ids:
        events = keys.count(job_id)
        if chunk and held + events > CHUNK_EVENTS:
            yield chunk
            chunk, held = [], 0
        if total > FIND_EVENTS:
            return
        chunk.append(job_id)
        held, total = held + events, total + events
    if chunk:
        yield chunk


def _event(found: bytes, project: str, event_id: UUID) -> Event | None:
    try:
        arguments = body.read(found)["a"]
    except (ValueError, KeyError):
        return None
    if not arguments or not isinstance(arguments[0], body.Payload):
        return None
    return next(
        (
            event
            for event in arguments[0].events
            if event.id == event_id and event.project == project
        ),
        None,
    )
