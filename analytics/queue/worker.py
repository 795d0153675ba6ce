"""The processor's half of the queue: claim jobs, store them together, settle them.

Only a written outcome takes a job out of the queue.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics import metrics
from analytics.events import Job, Outcome
from analytics.queue import body, claims, pace, scripts
from analytics.queue.burial import Burial, Keep, Recorded
from analytics.queue.claims import Claim, Claims, Room
from analytics.queue.gather import Gatherer, Store, TooSlow
from analytics.queue.pace import backoff
from analytics.queue.runner import Runner
from analytics.redis import crons as cron_runner
from analytics.redis.crons import Cron
from analytics.settings import Settings
from analytics.tasks import end

log = logging.getLogger(__name__)

POLL_SECONDS = 0.025
IDLE_POLL_SECONDS = 0.1
IDLE_TURNS = 40
"""After so many turns without a job the queue is polled every IDLE_POLL_SECONDS.

An idle processor should cost next to nothing.
"""

FINISH_SECONDS = 20.0
CANCEL_SECONDS = 5.0


class Worker:
    """Hands jobs to `store` and settles them by the outcomes it returns.

    `store` commits jobs in one transaction. Whatever it raises, the jobs are tried again, without
    end, after growing pauses. It may get a job that it has committed before, and must then return
    the same outcome. `recorded` says that outcome. `bury` may be called again for the same job too.

    Only a job that takes too long alone, while others are stored, is not tried for ever. It is
    split, down to the event at fault, which becomes a dead letter.
    """

    def __init__(
        self,
        redis: Redis,
        settings: Settings,
        *,
        store: Store,
        bury: Keep,
        recorded: Recorded,
        crons: Sequence[Cron] = (),
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._crons = crons
        self._token = secrets.token_hex(8)
        self._claims = Claims()
        self._gatherer = Gatherer(
            store,
            self._settle,
            concurrency=settings.concurrency,
            batch_size=settings.batch_size,
            timeout=settings.job_timeout,
        )
        self._burial = Burial(
            redis, self._token, self._claims, self._settle, bury, recorded, settings.job_timeout
        )
        self._wake = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set.

        Then finish the jobs in work within FINISH_SECONDS, and give back the rest.
        """
        runner = Runner(self._store, self._burial.bury, self._redis, self._settings.job_timeout)
        background = [
            asyncio.create_task(cron_runner.run(self._redis, cron), name=f"cron {cron.name}")
            for cron in self._crons
        ]
        background.append(asyncio.create_task(self._wake_on(stop)))
        try:
            await self._work(runner, stop)
        finally:
            await end(background)
            await self._finish(runner)

    async def _work(self, runner: Runner, stop: asyncio.Event) -> None:
        """Take turn after turn until `stop` is set, whatever they raise."""
        failures = idle = 0
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

    async def _turn(self, runner: Runner) -> bool:
        """Give failed jobs back, claim as many as there is room for, and start them.

        Returns whether any job is in work.
        """
        await self._release()
        room = self._claims.room(self._gatherer.is_suspect)
        if room is None or self._gatherer.pausing:
            return True
        deadline = asyncio.get_running_loop().time() + self._settings.job_timeout
        for job_id, size_bytes in await self._claim(room, runner.in_progress_timeout_s):
            if job_id in self._claims:  # it hangs beyond its claim; `_ended` will give it back
                continue
            self._claims.add(job_id, Claim(deadline, size_bytes))
            self._gatherer.expect(job_id)
            runner.start(job_id, self._ended)
        return len(self._claims) > 0

    async def _claim(self, room: Room, hold_s: float) -> list[tuple[str, int]]:
        """Claim waiting jobs for so many seconds: their ids, and the bytes of their bodies."""
        claimed = await scripts.CLAIM.run(
            self._redis,
            self._token,
            int(hold_s * 1000),
            room.jobs,
            room.events,
            pace.MAX_TRANSACTION_EVENTS,
            room.size_bytes,
            claims.MAX_CLAIMED_BYTES,
        )
        return [(name.decode(), size_bytes) for name, size_bytes in claimed]

    async def _rest(self, seconds: float) -> None:
        """Wait for the next poll; less long when a job ends or the worker is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _store(self, job_id: str, tries: int, payload: body.Payload) -> None:
        """One job, stored and settled. Raises what kept it from being so."""
        claim = self._claims[job_id]
        job = Job(job_id, payload.events, payload.replays, claim.size_bytes)
        try:
            try:
                await self._gatherer.hand(job, claim.deadline)
            except TooSlow as error:
                if not await self._burial.relieve(job, error.times):
                    raise
                self._claims.settle([job_id])
        except (Exception, asyncio.CancelledError):
            self._claims.retry(job_id, backoff(tries))
            raise

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
        self._claims.settle(job.id for job in jobs)
        for name in ("stored", "duplicate", "dead_lettered"):
            metrics.events_processed.add(
                {"outcome": name}, sum(getattr(outcome, name) for outcome in outcomes)
            )

    def _ended(self, job_id: str, task: asyncio.Task[None]) -> None:
        """The task of a job is over. A job that is not settled will be given back."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("job %s ended in an error and will be tried again", job_id, exc_info=error)
        self._claims.end(job_id, backoff(1))
        self._gatherer.forget(job_id)
        self._wake.set()

    async def _release(self) -> None:
        """Give jobs back, to be claimed again after their pauses.

        They are kept until Redis has answered.
        """
        if given := self._claims.to_give_back():
            await scripts.RELEASE.run(
                self._redis,
                self._token,
                *(part for job_id, pause in given.items() for part in (job_id, int(pause * 1000))),
            )
            self._claims.given_back(given)

    async def _finish(self, runner: Runner) -> None:
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
