"""What the queue holds: its depth, the books, the watermark, and one event by its id."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
from redis.asyncio import Redis

from analytics import metrics
from analytics.epoch import Mark, read_mark
from analytics.events import Books, Event, IdSearch
from analytics.queue import body, scripts
from analytics.redis.connection import raises_unavailable

FIND_EVENTS = 200_000
FIND_BYTES = 128 * 1024 * 1024
"""The newest events and bytes among which `find` looks."""

CHUNK_JOBS = 1_000
CHUNK_BYTES = 8 * 1024 * 1024
"""What `find` asks for at a time, and what it reads; a single larger job is read alone."""


LOOK_JOBS = (100, 2_000)
"""How many of the oldest jobs are looked at for one of a project: first few, and then more."""


class Depth(msgspec.Struct, frozen=True):
    """Jobs not settled yet, their events, and the age of the oldest job in seconds (0 without)."""

    jobs: int
    events: int
    oldest_s: float


class Horizon(msgspec.Struct, frozen=True):
    """How far the store is."""

    watermark: datetime
    """In UTC; see Reader.watermark."""
    waiting: bool
    """Whether any acknowledged event is not settled yet."""
    mark: Mark | None = None
    """Of the epoch, read at the same instant."""


class _State(msgspec.Struct, frozen=True):
    """The queue at one instant of Redis' clock; `oldest_ms` is when its oldest job was appended."""

    now_ms: int
    oldest_ms: int | None
    jobs: int
    books: Books
    mark: Mark | None

    @property
    def age_s(self) -> float:
        """The age of the oldest job in seconds; 0 when there is none."""
        return 0.0 if self.oldest_ms is None else max(0, self.now_ms - self.oldest_ms) / 1000


class Reader:
    """The queue, read only. Every method raises Unavailable when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def depth(self) -> Depth:
        """How much is not settled yet."""
        state = await self._state()
        return Depth(state.jobs, state.books.queued, state.age_s)

    async def books(self) -> Books:
        """The account of all events ever accepted."""
        return (await self._state()).books

    async def watermark(self) -> datetime:
        """An instant in UTC, by Redis' clock; every event acknowledged before it is settled.

        So ask before you query: the query then sees all of these events. The watermark is when the
        oldest unsettled job was appended, however often it was retried; without one it is now.
        """
        return (await self.horizon()).watermark

    async def horizon(self, project: str | None = None) -> Horizon:
        """The watermark, and whether a job holds it back; for a project, a job that concerns it.

        When none does, every event acknowledged so far is settled. Behind a very long line of jobs
        of others the watermark is that of the last one looked at, which is earlier than it might
        be.
        """
        state = await self._state() if project is None else await self._state_of(project)
        waiting = state.oldest_ms is not None
        reached_ms = state.now_ms if state.oldest_ms is None else state.oldest_ms
        return Horizon(datetime.fromtimestamp(reached_ms / 1000, UTC), waiting, state.mark)

    async def waiting(self, job_ids: Sequence[str]) -> set[str]:
        """Which of some jobs are not settled."""
        if not job_ids:
            return set()
        with raises_unavailable():
            scores = await self._redis.zmscore(scripts.QUEUE, list(job_ids))
        return {job_id for job_id, score in zip(job_ids, scores, strict=True) if score is not None}

    async def find(self, search: IdSearch, most: int = 1) -> list[Event]:
        """Events of one id that are not settled yet, `most` at most.

        They are sought among the newest FIND_EVENTS and FIND_BYTES.

        Ask the store after this, not before: an event settled in between would be in neither.
        """
        found: list[Event] = []
        with raises_unavailable():
            async for chunk in self._newest():
                for job in await self._redis.mget([scripts.JOB + job_id for job_id in chunk]):
                    # most bodies do not hold the id's bytes, and need not be decoded
                    if job is not None and search.may_hold(job):
                        found += filter(search.matches, _events(job))
                    if len(found) >= most:
                        return found[:most]
        return found

    async def _newest(self) -> AsyncIterator[list[str]]:
        """The ids of the newest jobs, in groups of CHUNK_BYTES at most, or one larger job."""
        chunk: list[str] = []
        in_chunk = events = total_bytes = 0
        async for job_id, size_bytes in self._sizes_bytes():
            if chunk and in_chunk + size_bytes > CHUNK_BYTES:
                yield chunk
                chunk, in_chunk = [], 0
            chunk.append(job_id)
            in_chunk += size_bytes
            events, total_bytes = events + scripts.count_events(job_id), total_bytes + size_bytes
            if events > FIND_EVENTS or total_bytes > FIND_BYTES:
                break
        if chunk:
            yield chunk

    async def _sizes_bytes(self) -> AsyncIterator[tuple[str, int]]:
        """The newest jobs, newest first, each with the bytes of its body."""
        newest = await self._redis.zrevrange(scripts.PENDING, 0, FIND_EVENTS)
        job_ids = [job_id.decode() for job_id in newest]
        for at in range(0, len(job_ids), CHUNK_JOBS):
            some = job_ids[at : at + CHUNK_JOBS]
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in some:
                    pipe.strlen(scripts.JOB + job_id)
                sizes: list[int] = await pipe.execute()
            for pair in zip(some, sizes, strict=True):
                yield pair

    async def refresh_gauges(self) -> None:
        """Set the gauges of the queue and of the books, before /metrics is rendered."""
        state = await self._state()
        metrics.queue_depth.set({}, state.books.queued)
        metrics.queue_jobs.set({}, state.jobs)
        metrics.queue_oldest.set({}, state.age_s)
        for account, events in msgspec.structs.asdict(state.books).items():
            metrics.books.set({"account": account}, events)

    async def _state_of(self, project: str) -> _State:
        """The state, with the oldest job that may concern a project."""
        for look in LOOK_JOBS:
            state, oldest = await self._look(look)
            for job_id, appended_ms in oldest:
                if scripts.may_concern(job_id.decode(), project):
                    return msgspec.structs.replace(state, oldest_ms=int(appended_ms))
            if len(oldest) < look:
                return msgspec.structs.replace(state, oldest_ms=None)
        return msgspec.structs.replace(state, oldest_ms=int(oldest[-1][1]))

    async def _state(self) -> _State:
        return (await self._look(1))[0]

    async def _look(self, jobs: int) -> tuple[_State, list[tuple[bytes, float]]]:
        """The state, and the oldest so many jobs, with when they were appended in ms."""
        with raises_unavailable():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.time()
                pipe.zrange(scripts.PENDING, 0, jobs - 1, withscores=True)
                pipe.zcard(scripts.PENDING)
                pipe.hgetall(scripts.BOOKS)
                pipe.get(scripts.EPOCH)
                (seconds, micros), oldest, depth, accounts, mark = await pipe.execute()
        counts = {name.decode(): int(events) for name, events in accounts.items()}
        now_ms, oldest_ms = seconds * 1000 + micros // 1000, int(oldest[0][1]) if oldest else None
        books = msgspec.convert(counts, Books)
        return _State(now_ms, oldest_ms, depth, books, read_mark(mark)), oldest


def _events(job: bytes) -> Sequence[Event]:
    """The events in a job's body; none where it cannot be read."""
    try:
        arguments = body.read(job)["a"]
    except (ValueError, KeyError):
        return ()
    is_ours = arguments and isinstance(arguments[0], body.Payload)
    return arguments[0].events if is_ours else ()
