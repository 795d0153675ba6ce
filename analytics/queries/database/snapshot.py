"""Reading from the database: one snapshot a question, bounded in time and in connections, with its
failures in words.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import Row, Text, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from analytics.errors import AnalyticsError, BadRequest, Unavailable
from analytics.events import Event
from analytics.queries.database import identity
from analytics.queries.database.memory import Memory
from analytics.queries.language.measures import Statement
from analytics.queue.reader import Reader
from analytics.settings import Settings

STATEMENT_SECONDS = 10
QUESTION_SECONDS = 30.0
"""So long all statements of a question may take, but for the last of them."""

CONNECT_SECONDS = 5
WAIT_SECONDS = 5
CONNECTIONS = 10
PATIENCE = "question_seconds"
"""The execution option of an engine that says how long a question may have one of its connections.
"""

SESSION = {
    "application_name": "analytics api",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
}
"""A plan for these very values, because how many rows a range or a filter leaves is what plans
depend on.
"""


def open_engine(
    settings: Settings,
    url: str | None = None,
    *,
    statement_seconds: float | None = None,
    question_seconds: float | None = None,
    connections: int = CONNECTIONS,
    wait_seconds: float = WAIT_SECONDS,
) -> AsyncEngine:
    """A bounded pool whose connections are waited for; asyncpg itself reads the URL, so that it may
    say all that libpq's may (sslmode, several hosts).
    """
    url = url or settings.database()

    async def connect() -> asyncpg.Connection:
        seconds = min(statement_seconds or STATEMENT_SECONDS, STATEMENT_SECONDS)
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS + CONNECT_SECONDS,
            server_settings=SESSION | {"statement_timeout": f"{round(seconds * 1000)}"},
        )

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=wait_seconds,
        pool_pre_ping=True,
        isolation_level="REPEATABLE READ",
        execution_options={
            "postgresql_readonly": True,
            PATIENCE: question_seconds or QUESTION_SECONDS,
        },
    )


Snapshots = Callable[[], AbstractAsyncContextManager["Snapshot"]]
"""A way to take another snapshot."""


_memories: WeakKeyDictionary[AsyncEngine, Memory] = WeakKeyDictionary()
_known: WeakKeyDictionary[AsyncEngine, identity.Known] = WeakKeyDictionary()


def share_memory(one: AsyncEngine, other: AsyncEngine) -> None:
    """Let two pools of the same database remember together."""
    _memories[one] = _memories[other] = Memory()


class Snapshot:
    """What a question may look at: one snapshot of the database, the queue, and until when the two
    are complete (None if that is unknown).
    """

    def __init__(
        self,
        connection: AsyncConnection,
        queue: Reader,
        watermark: datetime | None,
        anew: Snapshots,
        memory: Memory,
    ) -> None:
        self._connection = connection
        self._queue = queue
        self.watermark = watermark
        self.anew = anew
        self.memory = memory
        self.sources: set[str] = set()
        """What was read: `rollup`, `raw`."""
        self.links = identity.NONE
        """Who is whom; `links.version` is the project's identity version."""
        self._project = ""
        self._seconds: float = connection.sync_engine.get_execution_options().get(
            PATIENCE, QUESTION_SECONDS
        )
        self._until = time.monotonic() + self._seconds

    async def identify(self, project: str, known: identity.Known) -> None:
        """Take who is one person in a project for one from now on, as this snapshot has it."""
        self._project, self.links = project, await known.links(project, self.rows)

    async def rows(self, statement: Statement, *, linked: bool = True) -> Sequence[Row[Any]]:
        """All rows of a statement; if they are to be `linked`, with persons where it looks at
        actors. Raises Unavailable once there is no time left.
        """
        self.look_at_the_time()
        return (
            await self._connection.execute(self._linked(statement) if linked else statement)
        ).all()

    async def batches(self, statement: Statement, size: int) -> AsyncIterator[Sequence[Row[Any]]]:
        """The rows of a statement, `size` at a time: no more are in memory, here or on the way."""
        self.look_at_the_time()
        return self._in_time(
            (
                await self._connection.stream(
                    self._linked(statement), execution_options={"yield_per": size}
                )
            ).partitions()
        )

    async def _in_time(
        self, batches: AsyncIterator[Sequence[Row[Any]]]
    ) -> AsyncIterator[Sequence[Row[Any]]]:
        async for batch in batches:
            yield batch
            self.look_at_the_time()

    def look_at_the_time(self) -> None:
        """A statement is cut off by the database, a question of many here, between two of them."""
        if time.monotonic() > self._until:
            raise _too_slow(self._seconds)

    def _linked(self, statement: Statement) -> Statement:
        return identity.linked(statement, self._project) if self.links.version else statement

    async def queued(self, project: str, id_: UUID) -> Event | None:
        """An event that waits in the queue; None too when Redis does not answer."""
        with contextlib.suppress(Unavailable):
            return await self._queue.find(project, id_)
        return None

    async def check(self, patterns: Iterable[str]) -> None:
        """Raise BadRequest if PostgreSQL refuses one of these regular expressions; without rows it
        would not look at them.
        """
        for pattern in patterns:
            await self.rows(
                select(literal("", Text).op("~", is_comparison=True)(literal(pattern, Text)))
            )


@contextlib.asynccontextmanager
async def open_snapshot(
    engine: AsyncEngine,
    queue: Reader,
    watermark: datetime | None = None,
    project: str | None = None,
) -> AsyncIterator[Snapshot]:
    """One read-only transaction that sees one state of the database, from its first statement on;
    of a project, with who is whom in it.

    Raises Unavailable when the database is down or too slow, BadRequest for what only PostgreSQL
    can refuse.
    """
    try:
        async with engine.connect() as connection:
            snapshot = Snapshot(
                connection,
                queue,
                watermark,
                partial(open_snapshot, engine, queue),
                _memories.setdefault(engine, Memory()),
            )
            if project is not None:
                await snapshot.identify(project, _known.setdefault(engine, identity.Known()))
            yield snapshot
    except AnalyticsError:
        raise
    except DBAPIError as error:
        raise _in_words(getattr(error.orig, "sqlstate", None), error) from error
    except asyncpg.PostgresError as error:
        raise _in_words(error.sqlstate, error) from error
    except (TimeoutError, PoolTimeout, asyncpg.InterfaceError, OSError) as error:
        raise Unavailable("the database does not answer", retry_after=2) from error


def _in_words(sqlstate: str | None, error: Exception) -> Exception:
    """What an SQLSTATE means to who asked; the error itself if it is our own mistake."""
    match sqlstate:
        case "57014":
            return _too_slow(STATEMENT_SECONDS)
        case "2201B":
            reason = str(getattr(error, "orig", error)).rpartition(": ")[2]
            return BadRequest(
                f"where: PostgreSQL refuses the pattern: {reason[:200]}",
                code="bad_parameter",
                field="where",
            )
        case "42P01" | "3D000":
            return Unavailable(
                "the database has not been migrated; run `analytics migrate`", retry_after=5
            )
        case _ if sqlstate is None or sqlstate[:2] in ("08", "25", "40", "53", "55", "57"):
            return Unavailable("the database does not answer", retry_after=2)
    return error


def go_on(began: float) -> None:
    """Between statements whose answers are remembered: raise Unavailable once they take longer than
    one may, for who asks again goes on from there.
    """
    if time.monotonic() - began > STATEMENT_SECONDS:
        raise Unavailable(
            f"the question took longer than {STATEMENT_SECONDS} s; ask again, and it goes on from there",
            code="too_slow",
            retry_after=1,
        )


def _too_slow(seconds: float) -> Unavailable:
    return Unavailable(
        f"the question took longer than {seconds:g} s; ask for a shorter range, fewer groups or simpler filters",
        code="too_slow",
        retry_after=5,
    )
