"""The processor's half of the queue: claim jobs, store them together, settle them.

Only a written outcome takes a job out of the queue.

This is the only file that knows arq. arq's worker runs one job; finding jobs and finishing them is
ours. For arq finishes (deletes) a job after an ordinary exception, a time-out, too many tries, an
unknown function or an unreadable body.
"""

import asyncio
import contextlib
import logging
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from arq import worker as arq
from arq.connections import ArqRedis
from arq.utils import timestamp_ms
from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics import metrics
from analytics.events import Event, Job, Outcome, pack
from analytics.queue import body, gather, scripts
from analytics.queue.gather import Gatherer, Store, TooSlow, backoff
from analytics.redis import crons as cron_runner
from analytics.redis.crons import Cron
from analytics.settings import Settings
from analytics.tasks import end

log = logging.getLogger(__name__)

Bury = Callable[[str, int, bytes, str, str], Awaitable[None]]
"""Keeps an unreadable job as a dead letter: job id, events, body, reason, message."""

POLL_SECONDS = 0.025
IDLE_POLL_SECONDS = 0.1
IDLE_TURNS = 40
"""After so many turns without a job the queue is polled every IDLE_POLL_SECONDS.

An idle processor should cost next to nothing.
"""

MAX_JOBS = 200
"""Jobs in work at once: many more than transactions, so that small jobs can be merged."""

MAX_TRANSACTIONS_AHEAD = 2
"""How many full transactions the jobs in work may fill: one in the database, one to follow it.

A processor that takes more keeps it from the others.
"""

MAX_CLAIMED_BYTES = MAX_TRANSACTIONS_AHEAD * gather.MAX_TRANSACTION_BYTES
"""Bytes of the jobs in work, as Redis holds them; a single larger job is in work alone.

A process needs about five times as much for them: bodies, events, and what is sent to PostgreSQL.
"""

PARTS = 8
"""A job that is too slow even alone is split into so many."""

TIMES_TOO_SLOW = 3
"""So often an event may be too slow alone, in all of JOB_TIMEOUT; then it becomes a dead letter."""

FINISH_SECONDS = 20.0
CANCEL_SECONDS = 5.0
MESSAGE_CHARACTERS = 500


class Worker:
    """Hands jobs to `store` and settles them by the outcomes it returns.

    `store` commits jobs in one transaction. Whatever it raises, the jobs are tried again, without
    end, after growing pauses. It may get a job that it has committed before, and must then return
    the same outcome. `bury` may be called again for the same job too.

    Only a job that takes too long alone, while others are stored, is not tried for ever. It is
    split, down to the event at fault, which becomes a dead letter.
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
        self._running: dict[str, float] = {}  # claimed jobs → their deadlines, by the loop's clock
        self._sizes_bytes: dict[str, int] = {}  # the same jobs → the bytes of their bodies
        self._settled: set[str] = set()  # those of them that are settled; their tasks end next
        self._again: dict[str, float] = {}  # jobs to give back → seconds until their next try
        self._wake = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set.

        Then finish the jobs in work within FINISH_SECONDS, and give back the rest.
        """
        runner = _Runner(self, self._redis, self._settings.job_timeout)
        background = [
            asyncio.create_task(cron_runner.run(self._redis, cron), name=f"cron {cron.name}")
            for cron in self._crons
        ]
        background.append(asyncio.create_task(self._wake_on(stop)))
        failures = idle = 0
        try:
            while not stop.is_set():
                try:
                    idle = 0 if await self._turn(runner) else idle + 1
                    failures = 0
                except (RedisError, OSError) as error:
                    failures += 1
                    log.warning("the queue cannot be reached: %r", error)
                except Exception:  # whatever it is, the worker goes on
                    failures += 1
                    log.exception("a turn of the worker failed")
                poll = POLL_SECONDS if idle < IDLE_TURNS else IDLE_POLL_SECONDS
                await self._rest(backoff(failures) if failures else poll)
        finally:
            await end(background)
            await self._finish(runner)

    async def _turn(self, runner: "_Runner") -> bool:
        """Give failed jobs back, claim as many as there is room for, and start them.

        Returns whether any job is in work.
        """
        await self._release()
        batch = gather.MAX_TRANSACTION_EVENTS
        # suspects take no room from the others, however many they are
        running = [job_id for job_id in self._running if not self._gatherer.is_suspect(job_id)]
        room = MAX_TRANSACTIONS_AHEAD * batch - sum(
            min(scripts.count_events(job_id), batch) for job_id in running
        )
        if room <= 0 or len(running) >= MAX_JOBS or self._gatherer.pausing:
            return True
        deadline = asyncio.get_running_loop().time() + self._settings.job_timeout
        hold = int(runner.in_progress_timeout_s * 1000)
        most_jobs, most_bytes = MAX_JOBS - len(running), MAX_CLAIMED_BYTES
        left_bytes = most_bytes - sum(self._sizes_bytes[job_id] for job_id in running)
        claimed = await scripts.CLAIM.run(
            self._redis, self._token, hold, most_jobs, room, batch, left_bytes, most_bytes
        )
        for name, size_bytes in claimed:
            job_id = name.decode()
            if job_id in self._running:  # it hangs beyond its claim; `_ended` will give it back
                continue
            self._running[job_id] = deadline
            self._sizes_bytes[job_id] = size_bytes
            self._gatherer.expect(job_id)
            runner.start(job_id, self._ended)
        return bool(self._running)

    async def _rest(self, seconds: float) -> None:
        """Wait for the next poll; less long when a job ends or the worker is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def store(self, context: dict[str, Any], payload: body.Payload) -> None:
        """One job, as arq runs it. Returns when the job is settled, and otherwise raises Retry."""
        job_id: str = context["job_id"]
        job = Job(job_id, payload.events, payload.replays, self._sizes_bytes[job_id])
        try:
            try:
                await self._gatherer.hand(job, self._running[job_id])
            except TooSlow as error:
                if not await self._relieve(job, error):
                    raise
        except (Exception, asyncio.CancelledError) as error:
            self._again[job_id] = backoff(context["job_try"])
            raise arq.Retry from error

    async def _relieve(self, job: Job, error: TooSlow) -> bool:
        """Take a job that is too slow out of the queue; False if it is to be tried again.

        It is split, or its only event becomes a dead letter. Dead letters that are replayed are
        that again.
        """
        if job.replays:
            log.error("job %s replays dead letters and takes too long: they stay", job.id)
            await self._settle([job], [Outcome(dead_lettered=len(job.events))])
            return True
        parts = _parts(job.events)
        if len(parts) > 1:
            log.warning("job %s takes too long, and is split into %d", job.id, len(parts))
            jobs = [(_alone_id(part), body.write(pack(part))) for part in parts]
            words = [word for pair in jobs for word in pair]
            if await scripts.SPLIT.run(self._redis, self._token, job.id, *words):
                self._settled.add(job.id)
                return True
        elif error.times >= TIMES_TOO_SLOW:
            log.error("an event takes too long, and is set aside: job %s", job.id)
            message = (
                f"it took longer than {self._settings.job_timeout} s alone, while others did not"
            )
            await self._bury(job.id, 1, pack(job.events), "too_slow", message)
            await self._settle([job], [Outcome(dead_lettered=1)])
            return True
        return False

    async def _settle(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        """Write outcomes into the books and take the jobs out of the queue.

        The jobs are committed, so while Redis is away this goes on trying.
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
                await scripts.SETTLE.run(self._redis, *arguments)
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
        """Dead-letter a job that arq gave up.

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
            await self._bury(job_id, events, job or b"", *_fault(job))
        except Exception:
            self._again[job_id] = backoff(int(tries or 1))
            raise
        await self._settle([Job(job_id, ())], [Outcome(dead_lettered=events)])

    def _ended(self, job_id: str, task: asyncio.Task[None]) -> None:
        """The task of a job is over. A job that is not settled will be given back."""
        del self._running[job_id], self._sizes_bytes[job_id]
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
        """Give jobs back, to be claimed again after their pauses.

        They stay in `_again` until Redis has answered.
        """
        if self._again:
            given = dict(self._again)
            await scripts.RELEASE.run(
                self._redis,
                self._token,
                *(part for job_id, pause in given.items() for part in (job_id, int(pause * 1000))),
            )
            for job_id in given:
                del self._again[job_id]

    async def _finish(self, runner: "_Runner") -> None:
        """Wait for the jobs in work, and give the rest back.

        Another processor then need not wait for their claims to end.
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
            [arq.func(cast(Any, worker.store), name=body.STORE)],
            queue_name=scripts.QUEUE,
            redis_pool=ArqRedis(redis.connection_pool),
            handle_signals=False,
            max_jobs=MAX_JOBS,
            job_timeout=job_timeout,
            keep_result=0,
            max_tries=sys.maxsize,
            job_deserializer=body.read,
            job_serializer=lambda _: b"",  # serializes results, which are not kept
            log_results=False,
        )
        self._worker = worker

    def start(self, job_id: str, ended: Callable[[str, asyncio.Task[None]], None]) -> None:
        """Run a claimed job in a task of its own."""

        def end(task: asyncio.Task[None]) -> None:
            del self.tasks[job_id]
            ended(job_id, task)

        self.tasks[job_id] = task = self.loop.create_task(self.run_job(job_id, timestamp_ms()))
        task.add_done_callback(end)

    async def finish_job(self, *_: object) -> None:
        """Do nothing, however arq says the job ended: only `_settle` takes it out of the queue."""

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """Bury the job instead of deleting it, as arq would."""
        await self._worker.bury(job_id)


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
