"""Group commit: the events of many requests become one job, durable in Redis before any of these
requests is answered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from redis.asyncio import Redis

from analytics import metrics
from analytics.errors import Unavailable
from analytics.events import Event, pack
from analytics.queue import body, keys
from analytics.queue.admission import Admission, survey
from analytics.queue.reader import Reader
from analytics.redis.connection import reaching
from analytics.settings import Settings
from analytics.tasks import end

log = logging.getLogger(__name__)

MAX_EVENTS = 5_000
MAX_BYTES = 4 * 1024 * 1024
"""What one job holds at most; a single larger event is a job of its own."""

MAX_WAITING_EVENTS = 50_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
"""What may wait for its flush, while Redis is slow; beyond it an append is refused at once."""

PACE_SECONDS = 0.002
"""From one flush to the next, at least: where Redis answers faster, many small jobs would cost the
processors more than they save the client.
"""

EVENT_BYTES = 200
"""An event without its metadata, roughly."""

CLOSE_SECONDS = 10.0


class _Waiter(NamedTuple):
    """One append, and the verdict it waits for: None when its events are durable."""

    events: Sequence[Event]
    size: int
    verdict: asyncio.Future[Exception | None]


class Queue(Reader):
    """The collector's half of the queue; entered, it takes events. Who only reads need not enter
    it.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        super().__init__(redis)
        self._admission = Admission(redis, settings)
        self._share = settings.max_redis_memory
        self._line: deque[_Waiter] = deque()
        self._line_events = 0
        self._line_bytes = 0
        self._wake = asyncio.Event()
        self._open = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Raises ConfigurationError when Redis may evict the queue. A Redis that does not answer
        yet is waited for, refusing meanwhile.
        """
        await self._admission.look()
        self._open = True
        self._tasks = [
            asyncio.create_task(self._admission.watch(), name="admission"),
            asyncio.create_task(self._flush_all(), name="group commit"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Refuse from now on, flush what waits, within ten seconds."""
        self._open = False
        self._wake.set()
        watcher, flusher = self._tasks
        await asyncio.wait([flusher], timeout=CLOSE_SECONDS)
        await end([watcher, flusher])

    async def append(self, events: Sequence[Event]) -> None:
        """Returns when the events are durable in the queue, all of them; they share their job with
        whatever else arrives meanwhile.

        Raises Unavailable when the queue is full or out of reach. Nothing was accepted then, unless
        it was the answer that got lost.
        """
        if not events:
            return
        self._admission.check()
        if not self._open:
            raise Unavailable("the queue is closed", code="queue_closed")
        size = sum(len(event.metadata) for event in events) + EVENT_BYTES * len(events)
        if self._line and (
            self._line_events + len(events) > MAX_WAITING_EVENTS
            or self._line_bytes + size > MAX_WAITING_BYTES
        ):
            raise Unavailable(
                "the queue is slow: too many events wait to be written", code="queue_slow"
            )
        waiter = _Waiter(events, size, asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        self._line_events += len(events)
        self._line_bytes += size
        self._wake.set()
        verdict = await waiter.verdict
        if isinstance(verdict, Unavailable):
            raise Unavailable(
                verdict.message, code=verdict.code, retry_after=verdict.retry_after
            ) from verdict
        if verdict is not None:
            raise verdict

    async def enqueue_replay(self, events: Sequence[Event], numbers: Sequence[int]) -> bool:
        """Append the events of the dead letters `numbers` as one job. False, and nothing is done,
        when one of these is on its way already.
        """
        job = body.write(pack(events), numbers)
        with reaching():
            appended: int = await keys.ENQUEUE.run(
                self._redis,
                " ".join(map(str, numbers)),
                self._share,
                keys.job_id(len(events)),
                len(events),
                job,
            )
        return appended >= 0

    async def check(self) -> str:
        """For /health: `ok`, or `ok: …` with what weakens the promise. Raises Unavailable, or
        ConfigurationError when Redis may evict the queue.
        """
        with reaching():
            return ": ".join(["ok", *await survey(self._redis)])

    async def _flush_all(self) -> None:
        """One flush after the other, each with all that came while the last was under way."""
        clock = asyncio.get_running_loop().time
        try:
            while self._open or self._line:
                await self._wake.wait()
                self._wake.clear()
                while self._line:
                    begun = clock()
                    await self._flush(self._take())
                    await asyncio.sleep(begun + PACE_SECONDS - clock())
        finally:
            while self._line:
                _tell(self._take(), Unavailable("the queue is closed", code="queue_closed"))

    def _take(self) -> list[_Waiter]:
        """The first appends in line, as many as fit a job; those whose request has gone away are
        left out.
        """
        taken: list[_Waiter] = []
        events = size = 0
        while self._line:
            first = self._line[0]
            if taken and (events + len(first.events) > MAX_EVENTS or size + first.size > MAX_BYTES):
                break
            self._line.popleft()
            self._line_events -= len(first.events)
            self._line_bytes -= first.size
            if not first.verdict.cancelled():
                taken.append(first)
                events, size = events + len(first.events), size + first.size
        return taken

    async def _flush(self, taken: Sequence[_Waiter]) -> None:
        """Append in one step, and tell each waiter what became of it."""
        events = [event for waiter in taken for event in waiter.events]
        if not events:
            return
        verdict: Exception | None = Unavailable("the queue is closed", code="queue_closed")
        try:
            with reaching():
                await keys.ENQUEUE.run(
                    self._redis, "", self._share, *(part for job in _jobs(events) for part in job)
                )
            verdict = None
        except Unavailable as error:
            log.warning("%d events could not be queued: %r", len(events), error.__cause__)
            if error.code == "queue_full":
                self._admission.refuse(error)
            verdict = error
        except Exception as error:  # a mistake of ours: who waits must hear of it
            log.exception("%d events could not be queued", len(events))
            verdict = error
        finally:
            _tell(taken, verdict)
        if verdict is None:
            metrics.events_queued.add({}, len(events))
            metrics.batch_size.observe({}, len(events))


def _tell(waiters: Sequence[_Waiter], verdict: Exception | None) -> None:
    for waiter in waiters:
        if not waiter.verdict.done():
            waiter.verdict.set_result(verdict)


def _jobs(events: Sequence[Event]) -> Iterator[tuple[str, int, bytes]]:
    """Id, number of events and body of each job; nearly always one, unless a single request is
    larger than a job may be.
    """
    packed = pack(events)
    if len(events) > 1 and (len(events) > MAX_EVENTS or len(packed) > MAX_BYTES):
        middle = len(events) // 2
        yield from _jobs(events[:middle])
        yield from _jobs(events[middle:])
    else:
        yield keys.job_id(len(events)), len(events), body.write(packed)
