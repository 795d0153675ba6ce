"""Merging: jobs in work at the same time share a transaction.

A job that fails is tried alone (`suspects.py`), so it never holds up the others.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import NamedTuple

from analytics import metrics
from analytics.errors import SuspectBatch, TransientStoreError
from analytics.events import Job, Outcome
from analytics.queue import scripts
from analytics.queue.suspects import Suspects

log = logging.getLogger(__name__)

Store = Callable[[list[Job]], Awaitable[list[Outcome]]]
Settle = Callable[[Sequence[Job], Sequence[Outcome]], Awaitable[None]]

MAX_TRANSACTION_EVENTS = 5_000
"""The most events of one transaction; a single larger job is a transaction of its own.

A larger transaction makes an event no cheaper. And a poison event makes the store do the whole
transaction again with care, so a larger one would cost more then.
"""

MAX_TRANSACTION_BYTES = 8 * 1024 * 1024
"""The most bytes of one transaction, as the queue holds its jobs; a single larger job is alone.

5,000 events of 1.6 kB fill it; most are smaller.
"""

GROWTH = 4
"""For each transaction already open, this many times more events must wait to begin another.

The transactions share the database's cores, so a small one beside them gains no time. It would cost
a round trip for each of its statements, and a commit.
"""

SMALL_TRANSACTIONS = 2
"""A small transaction begins while fewer than this many are open.

More than one, because a transaction that hangs must not hold up the next.
"""

SHRINK, REGROW = 4, 1.25
"""How the size limit of transactions changes.

It is divided by SHRINK after a time-out or a failure of the store, and multiplied by REGROW after a
commit. However slow the database is, some size is small enough to commit in time. The limit grows
slowly, because each failure costs the whole time limit.
"""

FULL = 0.9
"""A suspect begins only while this much of the time that it is to get is left of its claim."""

BACKOFF_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 15.0


def backoff(attempt: int) -> float:
    """Seconds before the next attempt, after `attempt` failures (1 and up).

    They double with each failure up to a cap, and are random within the upper half.
    """
    most = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 10))
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - to spread, not to hide


class TooSlow(Exception):
    """A job was not stored alone, in all of the time limit, while other jobs were.

    `times` says how often so far.
    """

    def __init__(self, times: int) -> None:
        super().__init__(f"not stored in time, alone, {times} times")
        self.times = times


class _Waiter(NamedTuple):
    """A waiting job, and until when it must be settled (by the loop's clock).

    `result` is None once the job is settled, else the reason it is not.
    """

    job: Job
    deadline: float
    result: asyncio.Future[Exception | None]


class Gatherer:
    """A line of waiting jobs, and up to `concurrency` transactions that take from its head.

    Suspects have a line of their own, and at most half of the transactions.
    """

    def __init__(
        self, store: Store, settle: Settle, *, concurrency: int, batch_size: int, timeout: float
    ) -> None:
        self._store = store
        self._settle = settle
        self._batch_size = batch_size
        self._timeout = timeout
        self._concurrency = concurrency
        self._waiting: deque[_Waiter] = deque()
        self._waiting_events = 0
        self._waiting_bytes = 0
        self._alone: deque[_Waiter] = deque()
        self._suspects = Suspects()
        self._expected: set[str] = set()
        self._limit = MAX_TRANSACTION_EVENTS
        self._open = 0
        self._open_alone = 0
        self._commits = 0
        self._transactions: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._resume_at = 0.0

    @property
    def pausing(self) -> bool:
        """Whether the store failed just now; hand in no further jobs meanwhile."""
        return asyncio.get_running_loop().time() < self._resume_at

    def is_suspect(self, job_id: str) -> bool:
        """Whether a job takes no part in the transactions of others, and no place from them."""
        return scripts.is_alone(job_id) or job_id in self._suspects

    def expect(self, job_id: str) -> None:
        """A job will be handed in within milliseconds; a small transaction waits for it."""
        self._expected.add(job_id)

    def forget(self, job_id: str) -> None:
        """An expected job will not come."""
        if job_id in self._expected:
            self._expected.remove(job_id)
            self._begin()

    async def hand(self, job: Job, deadline: float) -> None:
        """Store and settle a job before `deadline` (by the loop's clock).

        Raises what kept it from being settled.
        """
        self._expected.discard(job.id)
        waiter = _Waiter(job, deadline, asyncio.get_running_loop().create_future())
        if not self.is_suspect(job.id):
            self._waiting.append(waiter)
            self._waiting_events += len(job.events)
            self._waiting_bytes += job.size_bytes
        elif len(self._alone) < self._most_alone:
            self._alone.append(waiter)
        else:
            raise TransientStoreError("other jobs that must run alone come first")
        self._begin()
        failure = await waiter.result
        if failure is not None:
            raise failure

    async def cancel(self, seconds: float) -> None:
        """Send the waiting jobs back and cancel the open transactions.

        Waits at most so many seconds for them to end.
        """
        self._send_back(TransientStoreError("the worker stops"))
        if running := list(self._transactions):
            for transaction in running:
                transaction.cancel()
            await asyncio.wait(running, timeout=seconds)

    def _send_back(self, error: TransientStoreError) -> None:
        """Let go of all waiting jobs; the worker will claim them again later."""
        _resolve([*self._waiting, *self._alone], error)
        self._waiting.clear()
        self._alone.clear()
        self._waiting_events = self._waiting_bytes = 0

    def _begin(self) -> None:
        """Begin transactions: full ones at once, a small one as soon as no job is expected."""
        if self.pausing:
            self._send_back(TransientStoreError("the store failed just now"))
        while self._alone and self._open_alone < self._most_alone and self._has_place:
            self._begin_alone(self._alone.popleft())
        while (
            self._waiting
            and self._has_place
            and (
                self._waiting_events >= self._enough
                or self._waiting_bytes >= self._limit_bytes
                or (self._open < SMALL_TRANSACTIONS and not self._expected)
            )
        ):
            if taken := self._take():
                self._open += 1
                self._run(self._transact(taken))

    def _begin_alone(self, waiter: _Waiter) -> None:
        """Begin the transaction of a suspect, unless it waited so long that little time is left."""
        seconds = self._timeout * self._suspects.share(waiter.job.id)
        if asyncio.get_running_loop().time() + seconds * FULL > waiter.deadline:
            _resolve([waiter], TransientStoreError("the job waited too long for a transaction"))
        else:
            self._open_alone += 1
            self._run(self._transact_alone(waiter, seconds))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        transaction = asyncio.create_task(work)
        self._transactions.add(transaction)
        transaction.add_done_callback(self._transactions.discard)

    @property
    def _has_place(self) -> bool:
        return self._open + self._open_alone < self._concurrency

    @property
    def _most_alone(self) -> int:
        """How many suspects may be in transactions, and how many may wait for one."""
        return max(1, self._concurrency // 2)

    @property
    def _enough(self) -> int:
        """How many waiting events make a full transaction; more for each one open already."""
        enough: int = self._batch_size * GROWTH**self._open
        return min(self._limit, enough)

    @property
    def _limit_bytes(self) -> int:
        """Bytes of a full transaction; they shrink and grow with the limit of events."""
        return MAX_TRANSACTION_BYTES * self._limit // MAX_TRANSACTION_EVENTS

    def _take(self) -> list[_Waiter]:
        """Jobs from the head of the line that fill a transaction.

        A job with too little time left is sent back for a new claim.
        """
        taken: list[_Waiter] = []
        events = size_bytes = 0
        late = asyncio.get_running_loop().time() + self._timeout / 2
        while self._waiting and events < self._limit:
            job = self._waiting[0].job
            count = len(job.events)
            if taken and (
                events + count > self._limit or size_bytes + job.size_bytes > self._limit_bytes
            ):
                break
            waiter = self._waiting.popleft()
            self._waiting_events -= count
            self._waiting_bytes -= job.size_bytes
            if waiter.deadline < late:
                _resolve([waiter], TransientStoreError("the job waited too long for a transaction"))
            elif not waiter.result.done():
                taken.append(waiter)
                events, size_bytes = events + count, size_bytes + job.size_bytes
        return taken

    async def _transact(self, taken: list[_Waiter]) -> None:
        try:
            await self._attempt(taken)
        finally:
            _resolve(taken, TransientStoreError("the transaction was cancelled"))
            self._open -= 1
            self._begin()

    async def _transact_alone(self, waiter: _Waiter, seconds: float) -> None:
        began_commits, now = self._commits, asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + seconds, waiter.deadline)):
                await self._commit([waiter])
        except (TransientStoreError, TimeoutError) as error:
            full = self._suspects.failed(waiter.job.id)
            others = self._commits > began_commits
            if not others:  # perhaps nothing can be stored now
                self._pause()
            log.warning("job %s alone will be tried again: %r", waiter.job.id, error)
            slow = isinstance(error, TimeoutError) or getattr(error, "slow", False)
            _resolve([waiter], TooSlow(full) if slow and others and full > 0 else error)
        except Exception as error:
            self._suspects.failed(waiter.job.id)
            log.exception("job %s alone failed", waiter.job.id)
            metrics.store_retries.inc({"class": "unexpected"})
            _resolve([waiter], error)
        finally:
            _resolve([waiter], TransientStoreError("the transaction was cancelled"))
            self._open_alone -= 1
            self._begin()

    async def _attempt(self, taken: list[_Waiter]) -> None:
        """Store and settle jobs, and resolve every waiter, unless this is cancelled."""
        try:
            async with asyncio.timeout_at(min(waiter.deadline for waiter in taken)):
                await self._commit(taken)
        except TransientStoreError as error:
            log.warning("a transaction of %d jobs will be tried again: %s", len(taken), error)
            if isinstance(error, SuspectBatch):
                self._accuse(taken)
            self._pause()
            _resolve(taken, error)
        except TimeoutError as error:
            log.warning(
                "a transaction of %d jobs took longer than %s s and will be tried again",
                len(taken),
                self._timeout,
            )
            metrics.store_retries.inc({"class": "timeout"})
            self._accuse(taken)
            self._pause()
            _resolve(taken, error)
        except Exception as error:
            log.exception("a transaction of %d jobs failed", len(taken))
            metrics.store_retries.inc({"class": "unexpected"})
            self._accuse(taken)
            _resolve(taken, error)

    async def _commit(self, taken: list[_Waiter]) -> None:
        """Store and settle jobs, and resolve their waiters."""
        jobs = [waiter.job for waiter in taken]
        outcomes = await self._store(jobs)
        await self._settle(jobs, outcomes)
        self._commits += 1
        self._failures = 0
        self._limit = min(MAX_TRANSACTION_EVENTS, int(self._limit * REGROW) + 1)
        self._suspects.acquit(job.id for job in jobs)
        _resolve(taken, None)

    def _accuse(self, taken: list[_Waiter]) -> None:
        self._suspects.accuse(waiter.job.id for waiter in taken)

    def _pause(self) -> None:
        self._failures += 1
        self._limit = max(1, self._limit // SHRINK)
        self._resume_at = asyncio.get_running_loop().time() + backoff(self._failures)


def _resolve(waiters: Iterable[_Waiter], failure: Exception | None) -> None:
    for waiter in waiters:
        if not waiter.result.done():
            waiter.result.set_result(failure)
