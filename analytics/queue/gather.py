"""Merging: jobs that are in work at the same time share a transaction, and one bad job never holds
up the others.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from analytics import metrics
from analytics.errors import TransientStoreError
from analytics.events import Job, Outcome

log = logging.getLogger(__name__)

Store = Callable[[list[Job]], Awaitable[list[Outcome]]]
Settle = Callable[[Sequence[Job], Sequence[Outcome]], Awaitable[None]]

MAX_EVENTS = 5_000
"""What one transaction holds at most while jobs wait; a single larger job is a transaction of its
own.

Above it an event costs no less, and what one transaction holds is what a poison event makes it do
again with care.
"""

GROWTH = 4
"""How many times as much must be in line for a transaction to begin beside one more. Beside those
that are open a small one would gain no time, for they share the database's cores, and would cost a
round trip for each of its statements and a commit.
"""

SMALL = 2
"""Transactions that may be open when a small one begins: one that hangs must not hold up the next.
"""

SHRINK, REGROW = 4, 1.25
"""What a transaction may hold is divided by the one when it failed for lack of time or for the
store's sake, and multiplied by the other when it committed: however slow the database is, some size
is small enough to commit in time. Slowly up, for a failure costs the whole time limit.
"""

BACKOFF_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 15.0


def backoff(attempt: int) -> float:
    """Seconds before the next attempt, after `attempt` failures (1 and up): doubling, capped,
    spread over the upper half.
    """
    most = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 10))
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - to spread, not to hide


class _Waiter(NamedTuple):
    """A job in line, when it must be settled (the loop's clock), and what it waits for: None once
    it is settled, or why it is not.
    """

    job: Job
    deadline: float
    verdict: asyncio.Future[Exception | None]


class Gatherer:
    """A line of jobs and `concurrency` transactions that take from its head."""

    def __init__(
        self, store: Store, settle: Settle, *, concurrency: int, batch_size: int, timeout: float
    ) -> None:
        self._store = store
        self._settle = settle
        self._batch_size = batch_size
        self._timeout = timeout
        self._concurrency = concurrency
        self._line: deque[_Waiter] = deque()
        self._line_events = 0
        self._coming: set[str] = set()
        self._most = MAX_EVENTS
        self._open = 0
        self._transactions: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._resume_at = 0.0

    @property
    def pausing(self) -> bool:
        """Whether the store failed just now, so that no further jobs should be handed in yet."""
        return asyncio.get_running_loop().time() < self._resume_at

    def expect(self, job_id: str) -> None:
        """A job will be handed in within a few milliseconds: worth waiting for before a small
        transaction begins.
        """
        self._coming.add(job_id)

    def forget(self, job_id: str) -> None:
        """An expected job will not come."""
        if job_id in self._coming:
            self._coming.remove(job_id)
            self._begin()

    async def hand(self, job: Job, deadline: float) -> None:
        """Returns when the job is stored and settled. Raises whatever kept it from that before
        `deadline`, by the loop's clock.
        """
        self._coming.discard(job.id)
        waiter = _Waiter(job, deadline, asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        self._line_events += len(job.events)
        self._begin()
        verdict = await waiter.verdict
        if verdict is not None:
            raise verdict

    async def cancel(self, seconds: float) -> None:
        """Send back what is in line, and end the transactions that are under way, waiting so many
        seconds for them.
        """
        self._send_back(TransientStoreError("the worker stops"))
        if running := list(self._transactions):
            for transaction in running:
                transaction.cancel()
            await asyncio.wait(running, timeout=seconds)

    def _send_back(self, error: TransientStoreError) -> None:
        """Empty the line: its jobs will be claimed again later."""
        _tell(self._line, error)
        self._line.clear()
        self._line_events = 0

    def _begin(self) -> None:
        """Begin what can begin: a full transaction at once, a small one as soon as no job is known
        to be coming.
        """
        if self.pausing:
            self._send_back(TransientStoreError("the store failed just now"))
        while (
            self._line
            and self._open < self._concurrency
            and (self._line_events >= self._enough or (self._open < SMALL and not self._coming))
        ):
            if taken := self._take():
                self._open += 1
                transaction = asyncio.create_task(self._transact(taken))
                self._transactions.add(transaction)
                transaction.add_done_callback(self._transactions.discard)

    @property
    def _enough(self) -> int:
        """Events in line that are a full transaction: the more are open already, the more."""
        enough: int = self._batch_size * GROWTH**self._open
        return min(self._most, enough)

    def _take(self) -> list[_Waiter]:
        """Jobs from the head of the line until they fill a transaction. One that has too little
        time left is sent back for a new claim.
        """
        taken: list[_Waiter] = []
        events = 0
        late = asyncio.get_running_loop().time() + self._timeout / 2
        while self._line and events < self._most:
            size = len(self._line[0].job.events)
            if taken and events + size > self._most:
                break
            waiter = self._line.popleft()
            self._line_events -= size
            if waiter.deadline < late:
                _tell([waiter], TransientStoreError("the job waited too long for a transaction"))
            elif not waiter.verdict.done():
                taken.append(waiter)
                events += size
        return taken

    async def _transact(self, taken: list[_Waiter]) -> None:
        try:
            await self._attempt(taken)
        finally:
            _tell(taken, TransientStoreError("the transaction was cancelled"))
            self._open -= 1
            self._begin()

    async def _attempt(self, taken: list[_Waiter]) -> None:
        """Store and settle; every job is told, unless this is cancelled."""
        jobs = [waiter.job for waiter in taken]
        try:
            async with asyncio.timeout_at(min(waiter.deadline for waiter in taken)):
                outcomes = await self._store(jobs)
                await self._settle(jobs, outcomes)
        except TransientStoreError as error:
            log.warning("a transaction of %d jobs will be tried again: %s", len(jobs), error)
            self._pause()
            _tell(taken, error)
        except TimeoutError as error:
            log.warning(
                "a transaction of %d jobs took longer than %s s and will be tried again",
                len(jobs),
                self._timeout,
            )
            metrics.store_retries.inc({"class": "timeout"})
            self._pause()
            _tell(taken, error)
        except Exception as error:
            log.exception("a transaction of %d jobs failed", len(jobs))
            metrics.store_retries.inc({"class": "unexpected"})
            if len(taken) == 1:
                _tell(taken, error)
            for waiter in (
                taken if len(taken) > 1 else ()
            ):  # alone, so that the one at fault fails alone
                await self._attempt([waiter])
        else:
            self._failures = 0
            self._most = min(MAX_EVENTS, int(self._most * REGROW) + 1)
            _tell(taken, None)

    def _pause(self) -> None:
        self._failures += 1
        self._most = max(1, self._most // SHRINK)
        self._resume_at = asyncio.get_running_loop().time() + backoff(self._failures)


def _tell(waiters: Iterable[_Waiter], verdict: Exception | None) -> None:
    for waiter in waiters:
        if not waiter.verdict.done():
            waiter.verdict.set_result(verdict)
