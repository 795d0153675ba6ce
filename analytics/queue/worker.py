"""The processor's half: jobs are claimed, stored together and settled, and nothing but a written
outcome takes one out of the queue.

The only file that knows arq. Of its worker it keeps what runs one job; how jobs are found and what
becomes of them is ours, because arq finishes (deletes) a job after an ordinary exception, a
time-out, too many tries, an unknown function or an unreadable body.
"""

import asyncio
import contextlib
import logging
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from arq import worker as arq
from arq.connections import ArqRedis
from arq.utils import timestamp_ms
from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics import metrics
from analytics.events import Job, Outcome
from analytics.queue import body, gather, keys
from analytics.queue.gather import Gatherer, Store, backoff
from analytics.redis.crons import Cron, keep
from analytics.settings import Settings
from analytics.tasks import end

log = logging.getLogger(__name__)

Bury = Callable[[str, int, bytes, str, str], Awaitable[None]]

POLL_SECONDS = 0.025
IDLE_POLL_SECONDS = 0.1
IDLE_TURNS = 40
"""After so many turns that found nothing the queue is polled less often: an idle processor should
cost next to nothing.
"""

JOBS = 200
"""Jobs in work at once: many more than transactions, so that small ones can be merged."""

AHEAD = 2
"""Full transactions that the jobs in work may fill: one in the database and one to follow it. What
a processor takes beyond that, others cannot.
"""

FINISH_SECONDS = 20.0
CANCEL_SECONDS = 5.0
MESSAGE_CHARACTERS = 500


class Worker:
    """Hands jobs to `store` and settles them by the outcomes it returns.

    `store` gets jobs to commit in one transaction. Whatever it raises, they are tried again, for
    ever, with growing pauses. It may get a job again that it had committed, and must return the
    same outcome then. `bury` (job id, events, body, reason, message) keeps a job that cannot be
    read as a dead letter; it too may be called again.
    """

    def __init__(
        self,
        redis: Redis,
        settings: Settings,
        *,
        store: Store,
        bury: Bury,
        crons: Sequence[Cron] = (),
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._bury = bury
        self._crons = crons
        self._gatherer = Gatherer(
            store,
            self._settle,
            concurrency=settings.concurrency,
            batch_size=settings.batch_size,
            timeout=settings.job_timeout,
        )
        self._token = secrets.token_hex(8)
        self._running: dict[str, float] = {}
        self._settled: set[str] = set()
        self._again: dict[str, float] = {}
        self._wake = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish what is in work, within 20 seconds, and give back
        the rest.
        """
        runner = _Runner(self, self._redis, self._settings.job_timeout)
        helpers = [
            asyncio.create_task(keep(self._redis, cron), name=f"cron {cron.name}")
            for cron in self._crons
        ]
        helpers.append(asyncio.create_task(self._wake_on(stop)))
        failures = idle = 0
        try:
            while not stop.is_set():
                try:
                    idle = 0 if await self._turn(runner) else idle + 1
                    failures = 0
                except (RedisError, OSError) as error:
                    failures += 1
                    log.warning("the queue cannot be reached: %r", error)
                except Exception:  # the worker outlives whatever a turn may meet
                    failures += 1
                    log.exception("a turn of the worker failed")
                await self._rest(
                    backoff(failures)
                    if failures
                    else POLL_SECONDS
                    if idle < IDLE_TURNS
                    else IDLE_POLL_SECONDS
                )
        finally:
            await end(helpers)
            await self._finish(runner)

    async def _turn(self, runner: "_Runner") -> bool:
        """Give back what failed, claim what there is room for, and start it. Whether anything is in
        work.
        """
        await self._release()
        batch = gather.MAX_EVENTS
        room = AHEAD * batch - sum(min(keys.count(job_id), batch) for job_id in self._running)
        if room <= 0 or len(self._running) >= JOBS or self._gatherer.pausing:
            return True
        deadline = asyncio.get_running_loop().time() + self._settings.job_timeout
        hold = int(runner.in_progress_timeout_s * 1000)
        claimed = await keys.CLAIM.run(
            self._redis, self._token, hold, JOBS - len(self._running), room, batch
        )
        for job_id in map(bytes.decode, claimed):
            if job_id in self._running:  # stuck here beyond its claim; its end will give it back
                continue
            self._running[job_id] = deadline
            self._gatherer.expect(job_id)
            runner.start(job_id, self._ended)
        return bool(self._running)

    async def _rest(self, seconds: float) -> None:
        """Until the next poll, or sooner when a job has ended or the worker is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def store(self, context: dict[str, Any], payload: body.Payload) -> None:
        """One job, as arq runs it. It ends when the job is settled; every other end is a Retry."""
        job_id: str = context["job_id"]
        try:
            await self._gatherer.hand(
                Job(job_id, payload.events, payload.replays), self._running[job_id]
            )
        except (Exception, asyncio.CancelledError) as error:
            self._again[job_id] = backoff(context["job_try"])
            raise arq.Retry from error

    async def _settle(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        """Write outcomes into the books and forget the jobs. The jobs are committed, so a Redis
        that is away is waited for.
        """
        arguments = [
            part
            for job, outcome in zip(jobs, outcomes, strict=True)
            for part in (
                job.id,
                outcome.stored,
                outcome.duplicate,
                outcome.dead_lettered,
                " ".join(map(str, job.replays)),
            )
        ]
        failures = 0
        while True:
            try:
                await keys.SETTLE.run(self._redis, *arguments)
                break
            except (RedisError, OSError) as error:
                failures += 1
                log.warning("%d stored jobs cannot be settled yet: %r", len(jobs), error)
                await asyncio.sleep(backoff(failures))
        self._settled.update(job.id for job in jobs if job.id in self._running)
        for name in ("stored", "duplicate", "dead_lettered"):
            metrics.events_processed.add(
                {"outcome": name}, sum(getattr(outcome, name) for outcome in outcomes)
            )

    async def bury(self, job_id: str) -> None:
        """Dead-letter a job that arq gave up: it is gone, cannot be read, or has a function that
        nobody here knows.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zscore(keys.QUEUE, job_id)
            pipe.get(keys.JOB + job_id)
            pipe.get(keys.RETRY + job_id)
            score, found, tries = await pipe.execute()
        if score is None:  # settled by another since it was claimed here
            return
        events = keys.count(job_id)
        try:
            await self._bury(job_id, events, found or b"", *_fault(found))
        except Exception:
            self._again[job_id] = backoff(int(tries or 1))
            raise
        await self._settle([Job(job_id, ())], [Outcome(dead_lettered=events)])

    def _ended(self, job_id: str, task: asyncio.Task[None]) -> None:
        """A job's task is over: either the job is settled, or it will be given back."""
        del self._running[job_id]
        self._gatherer.forget(job_id)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("job %s ended in an error and will be tried again", job_id, exc_info=error)
        if job_id in self._settled:
            self._settled.remove(job_id)
            self._again.pop(job_id, None)
        else:
            self._again.setdefault(job_id, backoff(1))
        self._wake.set()

    async def _release(self) -> None:
        """Give jobs back, to be claimed again after their pauses. Kept in mind until Redis has
        answered.
        """
        if self._again:
            given = dict(self._again)
            await keys.RELEASE.run(
                self._redis,
                self._token,
                *(part for job_id, pause in given.items() for part in (job_id, int(pause * 1000))),
            )
            for job_id in given:
                del self._again[job_id]

    async def _finish(self, runner: "_Runner") -> None:
        """Wait for what is in work; give the rest back at once, so that another processor need not
        wait for the claims to end.
        """
        late = set(runner.tasks.values())
        if late:
            _, late = await asyncio.wait(late, timeout=FINISH_SECONDS)
        if late:
            log.warning(
                "%d jobs did not end within %s s and are given back", len(late), FINISH_SECONDS
            )
            await self._gatherer.cancel(CANCEL_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=CANCEL_SECONDS)
        try:
            await self._release()
        except (RedisError, OSError) as error:
            log.warning(
                "jobs in work cannot be given back, their claims will end by themselves: %r", error
            )


class _Runner(arq.Worker):
    """arq's worker without its own way of finding and finishing jobs."""

    def __init__(self, worker: Worker, redis: Redis, job_timeout: int) -> None:
        logging.getLogger("arq.worker").setLevel(logging.WARNING)  # two lines a job otherwise
        super().__init__(
            [arq.func(worker.store, name=body.STORE)],  # type: ignore[arg-type]  # arq has every function take any arguments
            queue_name=keys.QUEUE,
            redis_pool=ArqRedis(redis.connection_pool),
            handle_signals=False,
            max_jobs=JOBS,
            job_timeout=job_timeout,
            keep_result=0,
            max_tries=sys.maxsize,
            job_deserializer=body.read,
            job_serializer=lambda _: b"",  # of results, which nobody keeps
            log_results=False,
        )
        self._worker = worker

    def start(self, job_id: str, ended: Callable[[str, asyncio.Task[None]], None]) -> None:
        """Run a job that is claimed, in a task of its own."""

        def end(task: asyncio.Task[None]) -> None:
            del self.tasks[job_id]
            ended(job_id, task)

        self.tasks[job_id] = task = self.loop.create_task(self.run_job(job_id, timestamp_ms()))
        task.add_done_callback(end)

    async def finish_job(self, *_: object) -> None:
        """Nothing: a job is out of the queue when it is settled, whatever arq thinks of how it
        ended.
        """

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """Instead of deleting it."""
        await self._worker.bury(job_id)


def _fault(found: bytes | None) -> tuple[str, str]:
    """Reason and message for a body that arq gave up."""
    if found is None:
        return "expired", "the body of the job is gone"
    try:
        raw = body.read(found)
        return "unknown_function", f"no function {str(raw['f'])[:100]!r}"
    except Exception as error:
        return "undecodable", f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
