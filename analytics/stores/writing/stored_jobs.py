"""The outcomes of committed jobs that may still be in the queue.

The queue may deliver a committed job again; it then gets the same outcome and is not stored twice.
"""

from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from analytics.events import Outcome
from analytics.settings import Settings

RECORDED = "SELECT id, stored, duplicate, dead_lettered FROM stored_jobs WHERE id = ANY($1)"

RECORD = """
INSERT INTO stored_jobs (id, stored, duplicate, dead_lettered, stored_at)
SELECT *, now() FROM unnest($1::text[], $2::int[], $3::int[], $4::int[]) ORDER BY 1
"""

RESERVE = """
INSERT INTO stored_jobs (id, stored, duplicate, dead_lettered, stored_at)
VALUES ($1, 0, 0, 0, now()) ON CONFLICT DO NOTHING
"""

OLD = """
SELECT id FROM stored_jobs WHERE id > $1 AND stored_at < now() - make_interval(secs => $2)
ORDER BY id LIMIT $3
"""

DELETE = "DELETE FROM stored_jobs WHERE id = ANY($1)"

PAGE_JOBS = 1000


async def recorded(connection: asyncpg.Connection, ids: Sequence[str]) -> dict[str, Outcome]:
    """The outcomes of those of some jobs that are committed."""
    return {
        row["id"]: Outcome(row["stored"], row["duplicate"], row["dead_lettered"])
        for row in await connection.fetch(RECORDED, ids)
    }


async def settled(connection: asyncpg.Connection, job_id: str) -> Outcome | None:
    """The outcome of a job; None where it is not committed, and never will be.

    Its transaction may have been given up while it was committing. So this waits for it: nobody
    inserts a row that another transaction has inserted, before that one has ended.
    """
    reserving = connection.transaction()
    await reserving.start()
    try:
        await connection.execute(RESERVE, job_id)
    finally:
        await reserving.rollback()
    return (await recorded(connection, [job_id])).get(job_id)


async def record(connection: asyncpg.Connection, outcomes: dict[str, Outcome]) -> None:
    """Store the outcomes of jobs.

    Raises asyncpg.UniqueViolationError when another worker, which got the same job from the queue,
    has committed it meanwhile.
    """
    counts = zip(
        *((each.stored, each.duplicate, each.dead_lettered) for each in outcomes.values()),
        strict=True,
    )
    await connection.execute(RECORD, list(outcomes), *map(list, counts))


async def sweep(
    connection: asyncpg.Connection,
    waiting: Callable[[list[str]], Awaitable[set[str]]],
    settings: Settings,
) -> None:
    """Forget the jobs that the queue no longer holds; `waiting` says which of some it does.

    Only jobs stored long enough ago that no other worker can still be at work on them: the longer
    of a minute and two JOB_TIMEOUTs.
    """
    age, last = max(60.0, 2.0 * settings.job_timeout), ""
    while page := [row["id"] for row in await connection.fetch(OLD, last, age, PAGE_JOBS)]:
        held = await waiting(page)
        await connection.execute(DELETE, [id for id in page if id not in held])
        last = page[-1]
