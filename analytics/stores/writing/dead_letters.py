"""Dead letters: what could not be stored, kept with its reason and its bytes until an operator
replays or purges it.
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
    INSERT INTO stored_jobs (id, stored, duplicate, dead_lettered, stored_at) VALUES ($1, 0, 0, $2, now()) ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO dead_letters (job_id, events, reason, message, payload, created_at) SELECT id, $2, $3, $4, $5, now() FROM job
"""

REMOVE = "DELETE FROM dead_letters WHERE number = ANY($1)"

PAGE_OF = f"""
SELECT {COLUMNS} FROM dead_letters
WHERE number > $1 AND ($2::varchar IS NULL OR project = $2) AND ($3::varchar IS NULL OR reason = $3)
ORDER BY number LIMIT $4
"""  # noqa: S608 - only our own constants

PURGE = "DELETE FROM dead_letters WHERE ($1::bigint[] IS NULL OR number = ANY($1)) AND ($2::timestamptz IS NULL OR created_at < $2)"

MESSAGE_LENGTH = 1000


class DeadLetter(msgspec.Struct, frozen=True):
    """One row: an event, or a whole job (`events` of them) whose body nobody could read."""

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
        """The events to try again; None where the payload is a job's body as the queue had it."""
        try:
            return unpack(self.payload)
        except msgspec.DecodeError:
            return None


def clean(text: str, length: int) -> str:
    """Text that PostgreSQL takes whatever was in it."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")[:length]


async def insert(
    connection: asyncpg.Connection, letters: Sequence[tuple[str, Event, BaseException]]
) -> None:
    """Put single events aside: (job id, event, why), in the transaction that stores the rest of the
    batch.
    """
    await connection.executemany(
        INSERT,
        [
            (
                clean(event.project, 64),
                event.id,
                clean(job, 1000),
                reason(error),
                clean(describe(error), MESSAGE_LENGTH),
                pack([event]),
            )
            for job, event, error in letters
        ],
    )


class DeadLetters:
    """What an operator can do with them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def count(self) -> int:
        """How many events are dead letters now."""
        total: int = await self._pool.fetchval(
            "SELECT coalesce(sum(events), 0)::bigint FROM dead_letters"
        )
        return total

    async def last(self) -> int:
        """The highest number there is; who replays all stops there, for what fails again comes back
        with a higher one.
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
        """The dead letters with the next higher numbers, oldest first."""
        return [
            DeadLetter(*row)
            for row in await self._pool.fetch(PAGE_OF, after, project, reason, limit)
        ]

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
        """Delete dead letters for good, by number, by age, or, with neither, all of them; how many
        rows went.
        """
        status: str = await self._pool.execute(PURGE, numbers, before)
        return int(status.split()[-1])
