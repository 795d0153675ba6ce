"""arq's worker without its own way of finding and finishing jobs.

This is the only file that knows arq, whose worker runs one job; finding jobs and finishing them is
ours. For arq finishes (deletes) a job after an ordinary exception, a time-out, too many tries, an
unknown function or an unreadable body.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

from arq import worker as arq
from arq.connections import ArqRedis
from arq.utils import timestamp_ms
from redis.asyncio import Redis

from analytics.queue import body, scripts
from analytics.queue.claims import MAX_JOBS

Work = Callable[[str, int, body.Payload], Awaitable[None]]
"""Stores and settles a job: its id, the number of this try, what it holds.

Whatever it raises, the job stays in the queue.
"""

Bury = Callable[[str], Awaitable[None]]
"""Takes a job out of the queue, by its id, that arq cannot run."""


class Runner(arq.Worker):
    """Runs jobs, each in a task of its own."""

    def __init__(self, work: Work, bury: Bury, redis: Redis, job_timeout: int) -> None:
        logging.getLogger("arq.worker").setLevel(logging.WARNING)  # two lines a job otherwise
        super().__init__(
            [arq.func(cast(Any, self._store), name=body.STORE)],
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
        self._work = work
        self._bury = bury

    def start(self, job_id: str, ended: Callable[[str, asyncio.Task[None]], None]) -> None:
        """Run a claimed job; `ended` is called when its task is over."""

        def end(task: asyncio.Task[None]) -> None:
            del self.tasks[job_id]
            ended(job_id, task)

        self.tasks[job_id] = task = self.loop.create_task(self.run_job(job_id, timestamp_ms()))
        task.add_done_callback(end)

    async def finish_job(self, *_: object) -> None:
        """Do nothing, however arq says the job ended: only settling takes it out of the queue."""

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """Bury the job instead of deleting it, as arq would."""
        await self._bury(job_id)

    async def _store(self, context: dict[str, Any], payload: body.Payload) -> None:
        try:
            await self._work(context["job_id"], context["job_try"], payload)
        except (Exception, asyncio.CancelledError) as error:
            raise arq.Retry from error
