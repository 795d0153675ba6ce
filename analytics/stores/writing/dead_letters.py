"""Dead letters: events that cannot be stored, with the reason and their bytes.

They are kept until an operator replays or purges them.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from analytics.events import Event, pack, unpack
from analytics.stores.faults import describe, reason

COLUMNS = "number, project, event_id, job_id, events, reason, message, payload, created_at"

INSERT = """
INSERT INTO dead_letters (project, event_id, job_id, events, reason, message, payload, created_at)
VALUES ($1, $2, $3, 1, $4, $5, $6, now())
"""

BURY = """
WITH job AS (
    INSERT INTO stored_jobs (id, stored, duplicate, dead_lettered, stored_at)
    VALUES ($1, 0, 0, $2, now()) ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO dead_letters (project, event_id, job_id, events, reason, message, payload, created_at)
SELECT $6, $7, id, $2, $3, $4, $5, now() FROM job
"""

REMOVE = "DELETE FROM dead_letters WHERE number = ANY($1)"

PAGE_BYTES = 4 * 1024 * 1024
"""The payloads of one page: it ends with the one that reaches this."""

PAGE = f"""
SELECT {COLUMNS} FROM (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY number) AS bytes FROM (
        SELECT {COLUMNS} FROM dead_letters WHERE number > $1
            AND ($2::varchar IS NULL OR project = $2) AND ($3::varchar IS NULL OR reason = $3)
        ORDER BY number LIMIT $4
    ) AS next
) AS page WHERE bytes - octet_length(payload) < $5 ORDER BY number
"""  # noqa: S608 - only our own constants

PURGE = """
DELETE FROM dead_letters WHERE ($1::bigint[] IS NULL OR number = ANY($1))
    AND ($2::timestamptz IS NULL OR created_at < $2)
"""

MESSAGE_CHARACTERS = 1000
JOB_ID_CHARACTERS = 1000


class DeadLetter(msgspec.Struct, frozen=True):
    """One row: an event, or a whole job of `events` events whose body cannot be read."""

    number: int
    project: str | None
    event_id: UUID | None
    job_id: str
    events: int
    reason: str
    message: str
    payload: bytes
    created_at: datetime

    def decode(self) -> list[Event] | None:
        """The events to replay; None where the payload is the body of an unreadable job."""
        try:
            return unpack(self.payload)
        except msgspec.DecodeError:
            return None


def clean(text: str, length: int) -> str:
    """Text that PostgreSQL accepts: no NUL, no lone surrogate, at most `length` characters."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")[:length]


def clean_id(job_id: str) -> str:
    """A job's id as it is stored."""
    return clean(job_id, JOB_ID_CHARACTERS)


async def insert(
    connection: asyncpg.Connection, letters: Sequence[tuple[str, Event, BaseException]]
) -> None:
    """Make dead letters of single events, in the transaction that stores the rest of their batch.

    Each letter is a job id, an event and the error that the event met.
    """
    rows = [
        (
            clean(event.project, 64),
            event.id,
            clean_id(job),
            reason(error),
            clean(describe(error), MESSAGE_CHARACTERS),
            pack([event]),
        )
        for job, event, error in letters
    ]
    await connection.executemany(INSERT, rows)


async def bury(
    connection: asyncpg.Connection, job_id: str, events: int, body: bytes, reason: str, message: str
) -> None:
    """Make one dead letter of a whole job. Repeated, it changes nothing.

    `body` is that of a job that cannot be read, or a single packed event.
    """
    project, event_id = _named(body)
    await connection.execute(
        BURY,
        clean_id(job_id),
        events,
        clean(reason, 64),
        clean(message, MESSAGE_CHARACTERS),
        body,
        project,
        event_id,
    )


def _named(body: bytes) -> tuple[str | None, UUID | None]:
    """The project and the id of a single packed event."""
    try:
        events = unpack(body)
    except msgspec.DecodeError:
        return None, None
    return (clean(events[0].project, 64), events[0].id) if len(events) == 1 else (None, None)


class DeadLetters:
    """What an operator can do with dead letters: count, read and purge them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def count(self) -> int:
        """How many events are dead letters now."""
        total: int = await self._pool.fetchval(
            "SELECT coalesce(sum(events), 0)::bigint FROM dead_letters"
        )
        return total

    async def last(self) -> int:
        """The highest number now, 0 without any.

        A replay of all stops there: an event that fails again comes back with a higher number.
        """
        number: int = await self._pool.fetchval("SELECT coalesce(max(number), 0) FROM dead_letters")
        return number

    async def page(
        self,
        *,
        after: int = 0,
        limit: int = 50,
        project: str | None = None,
        reason: str | None = None,
    ) -> list[DeadLetter]:
        """The next dead letters with numbers above `after`, oldest first.

        At most `limit`, and fewer where they would take more than PAGE_BYTES.
        """
        rows = await self._pool.fetch(PAGE, after, project, reason, limit, PAGE_BYTES)
        return [DeadLetter(*row) for row in rows]

    async def all(
        self, *, after: int = 0, project: str | None = None, reason: str | None = None
    ) -> AsyncIterator[DeadLetter]:
        """All dead letters, oldest first, read page by page."""
        while page := await self.page(after=after, limit=500, project=project, reason=reason):
            for letter in page:
                yield letter
            after = page[-1].number

    async def purge(
        self, *, numbers: Sequence[int] | None = None, before: datetime | None = None
    ) -> int:
        """Delete dead letters for good: by number, by age or, with neither, all of them.

        Returns how many rows it deleted.
        """
        status: str = await self._pool.execute(PURGE, numbers, before)
        return int(status.split()[-1])
