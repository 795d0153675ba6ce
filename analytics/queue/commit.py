"""Group commit: the events of many requests become one job.

The job is durable in Redis before any of these requests is answered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from redis.asyncio import Redis

from analytics import metrics
from analytics.epoch import Mark, read_mark
from analytics.errors import TooLarge, Unavailable
from analytics.events import Event, pack
from analytics.queue import body, scripts
from analytics.queue.backpressure import Backpressure, survey
from analytics.queue.reader import Reader
from analytics.redis.connection import raises_unavailable
from analytics.settings import Settings
from analytics.tasks import end

log = logging.getLogger(__name__)

MAX_JOB_EVENTS = 5_000
MAX_JOB_BYTES = 4 * 1024 * 1024
"""The most that one job holds; a single larger event is a job of its own."""

MAX_WAITING_EVENTS = 50_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
"""The most that may wait to be flushed while Redis is slow; beyond it, an append is refused."""

PACE_SECONDS = 0.002
"""The least time from one flush to the next.

Where Redis answers faster, many small jobs would cost the processors more than they save clients.
"""

EVENT_OVERHEAD_BYTES = 200
"""What an event takes without its metadata, roughly."""

CLOSE_SECONDS = 10.0


class _Waiter(NamedTuple):
    """One append. `result` is None once its events are durable, else the reason they are not."""

    events: Sequence[Event]
    size_bytes: int
    result: asyncio.Future[Exception | None]


class Queue(Reader):
    """The collector's half of the queue.

    Enter it as a context to append events; reading works without that.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        super().__init__(redis)
        self._backpressure = Backpressure(redis, settings)
        self._memory_share = settings.max_redis_memory
        self._waiting: deque[_Waiter] = deque()
        self._waiting_events = 0
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._epoch: str | None = None
        self._accepted = 0  # the books' account after the last append, in that epoch
        self._open = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to accept events.

        While Redis does not answer yet, the queue refuses events and goes on trying. Raises
        ConfigurationError when Redis may evict the queue.
        """
        await self._backpressure.look()
        self._open = True
        self._tasks = [
            asyncio.create_task(self._backpressure.watch(), name="backpressure"),
            asyncio.create_task(self._flush_all(), name="group commit"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Refuse events from now on, and flush those that wait, within CLOSE_SECONDS."""
        self._open = False
        self._wake.set()
        watcher, flusher = self._tasks
        await asyncio.wait([flusher], timeout=CLOSE_SECONDS)
        await end([watcher, flusher])

    async def append(self, events: Sequence[Event]) -> None:
        """Append events; returns when all of them are durable in the queue.

        They share their job with the events of other appends made meanwhile. Raises TooLarge for
        more than may ever wait, and Unavailable when the queue is full or out of reach. Nothing was
        accepted then, unless only the answer of Redis was lost.
        """
        if not events:
            return
        self._backpressure.check()
        if not self._open:
            raise Unavailable("the queue is closed", code="queue_closed")
        size_bytes = sum(len(event.metadata) for event in events) + EVENT_OVERHEAD_BYTES * len(
            events
        )
        if len(events) > MAX_WAITING_EVENTS or size_bytes > MAX_WAITING_BYTES:
            raise TooLarge("these events are more than may ever wait to be written")
        if self._waiting and (
            self._waiting_events + len(events) > MAX_WAITING_EVENTS
            or self._waiting_bytes + size_bytes > MAX_WAITING_BYTES
        ):
            raise Unavailable(
                "the queue is slow: too many events wait to be written", code="queue_slow"
            )
        waiter = _Waiter(events, size_bytes, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._waiting_events += len(events)
        self._waiting_bytes += size_bytes
        self._wake.set()
        failure = await waiter.result
        if isinstance(failure, Unavailable):
            raise Unavailable(
                failure.message, code=failure.code, retry_after=failure.retry_after
            ) from failure
        if failure is not None:
            raise failure

    async def enqueue_replay(self, events: Sequence[Event], numbers: Sequence[int]) -> bool:
        """Append the events of the dead letters `numbers` as one job.

        Returns False, and does nothing, when one of them is being replayed already.
        """
        job = body.write(pack(events), numbers)
        with raises_unavailable():
            accepted, *_ = await scripts.ENQUEUE.run(
                self._redis,
                " ".join(map(str, numbers)),
                self._memory_share,
                _job_id(events),
                len(events),
                job,
            )
        return bool(accepted >= 0)

    async def put_mark(self, held: Mark | None, mark: Mark) -> bool:
        """Put the epoch's mark into Redis if it still holds `held`; whether `mark` is there now."""
        with raises_unavailable():
            there: int = await scripts.MARK.run(self._redis, str(held or ""), str(mark))
        return bool(there)

    async def check(self) -> str:
        """For /health: `ok`, or `ok: …` with what weakens the guarantee of durability.

        Raises Unavailable; ConfigurationError when Redis may evict the queue.
        """
        with raises_unavailable():
            return ": ".join(["ok", *await survey(self._redis)])

    async def _flush_all(self) -> None:
        """Flush again and again, each time what arrived during the last flush."""
        clock = asyncio.get_running_loop().time
        try:
            while self._open or self._waiting:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    begun = clock()
                    await self._flush(self._take())
                    await asyncio.sleep(begun + PACE_SECONDS - clock())
        finally:
            while self._waiting:
                _resolve(self._take(), Unavailable("the queue is closed", code="queue_closed"))

    def _take(self) -> list[_Waiter]:
        """The oldest waiting appends, as many as fit a job; cancelled requests are left out."""
        taken: list[_Waiter] = []
        events = size_bytes = 0
        while self._waiting:
            first = self._waiting[0]
            if taken and (
                events + len(first.events) > MAX_JOB_EVENTS
                or size_bytes + first.size_bytes > MAX_JOB_BYTES
            ):
                break
            self._waiting.popleft()
            self._waiting_events -= len(first.events)
            self._waiting_bytes -= first.size_bytes
            if not first.result.cancelled():
                taken.append(first)
                events, size_bytes = events + len(first.events), size_bytes + first.size_bytes
        return taken

    async def _flush(self, taken: Sequence[_Waiter]) -> None:
        """Append in one step, then resolve each waiter: durable, or why not."""
        events = [event for waiter in taken for event in waiter.events]
        if not events:
            return
        failure: Exception | None = Unavailable("the queue is closed", code="queue_closed")
        try:
            with raises_unavailable():
                accepted, mark = await scripts.ENQUEUE.run(
                    self._redis,
                    "",
                    self._memory_share,
                    *(part for job in _jobs(events) for part in job),
                )
                await self._notice(read_mark(mark), accepted, len(events))
            failure = None
        except Unavailable as error:
            log.warning("%d events could not be queued: %r", len(events), error.__cause__)
            if error.code == "queue_full":
                self._backpressure.refuse(error)
            failure = error
        except Exception as error:  # a bug of ours: those who wait must still be answered
            log.exception("%d events could not be queued", len(events))
            failure = error
        finally:
            _resolve(taken, failure)
        if failure is None:
            metrics.events_queued.add({}, len(events))
            metrics.batch_size.observe({}, len(events))

    async def _notice(self, mark: Mark | None, accepted: int, events: int) -> None:
        """Take the epoch's mark away if Redis has forgotten events that it had accepted in it.

        `accepted` is the books' account after so many `events` were appended. Processors may not
        see it: they renew the mark less often than events come. Without a mark they declare a loss,
        and begin another epoch. Raises RedisError, so that whoever waits sends again.
        """
        epoch = mark.epoch if mark else None
        if epoch and epoch == self._epoch and accepted < self._accepted + events:
            log.error(
                "Redis came back empty or with older data: it has accepted %d events, not %d",
                accepted,
                self._accepted + events,
            )
            await self._redis.delete(scripts.EPOCH)
        self._epoch, self._accepted = epoch, accepted


def _resolve(waiters: Sequence[_Waiter], failure: Exception | None) -> None:
    for waiter in waiters:
        if not waiter.result.done():
            waiter.result.set_result(failure)


def _jobs(events: Sequence[Event]) -> Iterator[tuple[str, int, bytes]]:
    """Id, number of events and body of each job.

    Nearly always one job; several where a single request is larger than a job may be.
    """
    packed = pack(events)
    if len(events) > 1 and (len(events) > MAX_JOB_EVENTS or len(packed) > MAX_JOB_BYTES):
        middle = len(events) // 2
        yield from _jobs(events[:middle])
        yield from _jobs(events[middle:])
    else:
        yield _job_id(events), len(events), body.write(packed)


def _job_id(events: Sequence[Event]) -> str:
    return scripts.job_id(len(events), {event.project for event in events})
