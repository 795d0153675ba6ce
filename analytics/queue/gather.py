"""Merging: jobs in work at the same time share a transaction.

A job that fails is tried alone (`suspects.py`), so it never holds up the others.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from analytics import metrics
from analytics.errors import SuspectBatch, TransientStoreError
from analytics.events import Job, Outcome
from analytics.queue import scripts
from analytics.queue.line import Line, Waiter, resolve
from analytics.queue.pace import Pace
from analytics.queue.suspects import Suspects

log = logging.getLogger(__name__)

Store = Callable[[list[Job]], Awaitable[list[Outcome]]]
Settle = Callable[[Sequence[Job], Sequence[Outcome]], Awaitable[None]]

SMALL_TRANSACTIONS = 2
"""A small transaction begins while fewer than this many are open.

More than one, because a transaction that hangs must not hold up the next.
"""

FULL = 0.9
"""A suspect begins only while this much of the time that it is to get is left of its claim."""


class TooSlow(Exception):
    """A job was not stored alone, in all of the time limit, while other jobs were.

    `times` says how often so far.
    """

    def __init__(self, times: int) -> None:
        super().__init__(f"not stored in time, alone, {times} times")
        self.times = times


class Gatherer:
    """A line of waiting jobs, and up to `concurrency` transactions that take from its head.

    Suspects have a line of their own, and at most half of the transactions.
    """

    def __init__(
        self, store: Store, settle: Settle, *, concurrency: int, batch_size: int, timeout: float
    ) -> None:
        self._store = store
        self._settle = settle
        self._pace = Pace(batch_size)
        self._timeout = timeout
        self._concurrency = concurrency
        self._line = Line()
        self._alone: deque[Waiter] = deque()
        self._suspects = Suspects()
        self._expected: set[str] = set()
        self._open = 0
        self._open_alone = 0
        self._commits = 0
        self._transactions: set[asyncio.Task[None]] = set()

    @property
    def pausing(self) -> bool:
        """Whether the store failed just now; hand in no further jobs meanwhile."""
        return self._pace.pausing

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
        waiter = Waiter(job, deadline, asyncio.get_running_loop().create_future())
        if not self.is_suspect(job.id):
            self._line.append(waiter)
        elif len(self._alone) < self._most_alone:
            self._alone.append(waiter)
        else:
            resolve([waiter], TransientStoreError("other jobs that must run alone come first"))
        self._begin()  # also for those who waited for a job that goes back
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
        self._line.clear(error)
        resolve(self._alone, error)
        self._alone.clear()

    def _begin(self) -> None:
        """Begin transactions: full ones at once, a small one as soon as no job is expected."""
        if self.pausing:
            self._send_back(TransientStoreError("the store failed just now"))
        while self._alone and self._open_alone < self._most_alone and self._has_place:
            self._begin_alone(self._alone.popleft())
        while (
            self._line
            and self._has_place
            and (
                self._line.events >= self._pace.enough(self._open)
                or self._line.size_bytes >= self._pace.limit_bytes
                or (self._open < SMALL_TRANSACTIONS and not self._expected)
            )
        ):
            late = asyncio.get_running_loop().time() + self._timeout / 2
            if taken := self._line.take(self._pace.limit, self._pace.limit_bytes, late):
                self._open += 1
                self._run(self._transact(taken))

    def _begin_alone(self, waiter: Waiter) -> None:
        """Begin the transaction of a suspect, unless it waited so long that little time is left."""
        seconds = self._timeout * self._suspects.share(waiter.job.id)
        if asyncio.get_running_loop().time() + seconds * FULL > waiter.deadline:
            resolve([waiter], TransientStoreError("the job waited too long for a transaction"))
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

    async def _transact(self, taken: list[Waiter]) -> None:
        try:
            await self._attempt(taken)
        finally:
            resolve(taken, TransientStoreError("the transaction was cancelled"))
            self._open -= 1
            self._begin()

    async def _transact_alone(self, waiter: Waiter, seconds: float) -> None:
        began_commits, now = self._commits, asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + seconds, waiter.deadline)):
                await self._commit([waiter])
        except (TransientStoreError, TimeoutError) as error:
            full = self._suspects.failed(waiter.job.id)
            others = self._commits > began_commits
            if not others:  # perhaps nothing can be stored now
                self._pace.pause()
            log.warning("job %s alone will be tried again: %r", waiter.job.id, error)
            slow = isinstance(error, TimeoutError) or getattr(error, "slow", False)
            resolve([waiter], TooSlow(full) if slow and others and full > 0 else error)
        except Exception as error:
            self._suspects.failed(waiter.job.id)
            log.exception("job %s alone failed", waiter.job.id)
            metrics.store_retries.inc({"class": "unexpected"})
            resolve([waiter], error)
        finally:
            resolve([waiter], TransientStoreError("the transaction was cancelled"))
            self._open_alone -= 1
            self._begin()

    async def _attempt(self, taken: list[Waiter]) -> None:
        """Store and settle jobs, and resolve every waiter, unless this is cancelled."""
        try:
            async with asyncio.timeout_at(min(waiter.deadline for waiter in taken)):
                await self._commit(taken)
        except TransientStoreError as error:
            log.warning("a transaction of %d jobs will be tried again: %s", len(taken), error)
            if isinstance(error, SuspectBatch):
                self._accuse(taken)
            self._pace.pause()
            resolve(taken, error)
        except TimeoutError as error:
            log.warning(
                "a transaction of %d jobs took longer than %s s and will be tried again",
                len(taken),
                self._timeout,
            )
            metrics.store_retries.inc({"class": "timeout"})
            self._accuse(taken)
            self._pace.pause()
            resolve(taken, error)
        except Exception as error:
            log.exception("a transaction of %d jobs failed", len(taken))
            metrics.store_retries.inc({"class": "unexpected"})
            self._accuse(taken)
            resolve(taken, error)

    async def _commit(self, taken: list[Waiter]) -> None:
        """Store and settle jobs, and resolve their waiters."""
        jobs = [waiter.job for waiter in taken]
        outcomes = await self._store(jobs)
        await self._settle(jobs, outcomes)
        self._commits += 1
        self._pace.committed()
        self._suspects.acquit(job.id for job in jobs)
        resolve(taken, None)

    def _accuse(self, taken: list[Waiter]) -> None:
        self._suspects.accuse(waiter.job.id for waiter in taken)
