"""A snapshot: what one query reads of the database, bounded in time and in connections.

Errors of the database become Unavailable or BadRequest here.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import Row, Text, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from analytics.connection_errors import CONNECTION_ERRORS
from analytics.errors import AnalyticsError, BadRequest, Unavailable
from analytics.events import Event, IdSearch
from analytics.queries.database import identity, statements
from analytics.queries.database.estimates import Estimates
from analytics.queries.database.memory import Memory
from analytics.queries.language.measures import Statement
from analytics.queue.reader import Reader
from analytics.settings import Settings

STATEMENT_SECONDS = 10
QUERY_SECONDS = 30.0
"""How long all statements of a query but the last may take together."""

CONNECT_SECONDS = 5
WAIT_SECONDS = 5
"""How long a query waits for a connection of the pool."""

CONNECTIONS = 10

ROWS_AT_ONCE = 10_000
"""Rows of one statement that are made while nobody else is answered, which takes some 10 ms."""

SECONDS_OPTION = "query_seconds"
"""The engine's execution option that holds its QUERY_SECONDS."""

SESSION = {
    "application_name": "analytics api",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
}
"""`force_custom_plan`: the best plan depends on how many rows this very range and filter leave."""


def open_engine(
    settings: Settings,
    url: str | None = None,
    *,
    statement_seconds: float | None = None,
    query_seconds: float | None = None,
    connections: int = CONNECTIONS,
    wait_seconds: float = WAIT_SECONDS,
) -> AsyncEngine:
    """A bounded pool of connections, read-only.

    asyncpg reads the URL, so it takes all that libpq's URLs may say (sslmode, several hosts).
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
            "compiled_cache": statements.compiled,
            SECONDS_OPTION: query_seconds or QUERY_SECONDS,
        },
    )


Snapshots = Callable[[], AbstractAsyncContextManager["Snapshot"]]
"""Opens one more snapshot, of a later state."""


_memories: WeakKeyDictionary[AsyncEngine, Memory] = WeakKeyDictionary()
_link_caches: WeakKeyDictionary[AsyncEngine, identity.LinkCache] = WeakKeyDictionary()
_estimates: WeakKeyDictionary[AsyncEngine, Estimates] = WeakKeyDictionary()


def share_memory(one: AsyncEngine, other: AsyncEngine) -> None:
    """Let two pools of the same database share one memory."""
    _memories[one] = _memories[other] = Memory()


class Snapshot:
    """All that a query may read: one state of the database, and the queue."""

    def __init__(
        self,
        connection: AsyncConnection,
        queue: Reader,
        watermark: datetime | None,
        another: Snapshots,
        memory: Memory,
    ) -> None:
        """`watermark`: both are complete up to it; None: unknown."""
        self._connection = connection
        self._queue = queue
        self.watermark = watermark
        self.another = another
        self.memory = memory
        self.sources: set[str] = set()
        """What the answer was made from: `rollup`, `raw`."""
        self.links = identity.NO_LINKS
        """Of the project; `links.version` is its identity version."""
        self._project = ""
        options = connection.sync_engine.get_execution_options()
        self._seconds: float = options.get(SECONDS_OPTION, QUERY_SECONDS)
        self._deadline = time.monotonic() + self._seconds

    async def identify(self, project: str, cache: identity.LinkCache, estimates: Estimates) -> None:
        """From now on, count linked actors of this project as one person."""
        (state,) = await self.rows(identity.state(project))
        links = await cache.links(project, state.version, self.rows)
        self._project, self.links = project, links
        rows = {"people": state.people, "identity_links": len(links)}
        await estimates.heed(self._connection, project, rows)

    async def rows(self, statement: Statement, *, linked: bool = True) -> Sequence[Row[Any]]:
        """All rows of a statement. `linked`: with persons in place of actors.

        The loop has its turns between ROWS_AT_ONCE. Raises Unavailable once the query has no time
        left.
        """
        self.check_time()
        statement = self._linked(statement) if linked else statement
        rows: list[Row[Any]] = []
        for some in (await self._connection.execute(statement)).partitions(ROWS_AT_ONCE):
            if rows:
                await asyncio.sleep(0)
            rows += some
        return rows

    async def batches(self, statement: Statement, size: int) -> AsyncIterator[Sequence[Row[Any]]]:
        """The rows of a statement, with no more than `size` at a time in memory and on the wire."""
        self.check_time()
        options = {"yield_per": size}
        rows = await self._connection.stream(self._linked(statement), execution_options=options)
        return self._timed(rows.partitions())

    async def _timed(
        self, batches: AsyncIterator[Sequence[Row[Any]]]
    ) -> AsyncIterator[Sequence[Row[Any]]]:
        async for batch in batches:
            yield batch
            self.check_time()

    def check_time(self) -> None:
        """Raise Unavailable once the query has no time left, which is looked at between statements.

        The database itself cuts off a single statement.
        """
        if time.monotonic() > self._deadline:
            raise _too_slow(self._seconds)

    def _linked(self, statement: Statement) -> Statement:
        return identity.linked(statement, self._project) if self.links.version else statement

    async def queued(self, search: IdSearch, most: int) -> list[Event]:
        """Events of one id that wait in the queue; none too if Redis does not answer."""
        with contextlib.suppress(Unavailable):
            return await self._queue.find(search, most)
        return []

    async def check(self, patterns: Iterable[str]) -> None:
        """Raise BadRequest if PostgreSQL refuses one of these regular expressions.

        A statement that finds no rows would not even look at them.
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
    """One read-only transaction, which sees the database as it is at its first statement.

    `project`: whose identity links apply. Raises Unavailable if the database is down or too slow,
    BadRequest for what only PostgreSQL can refuse.
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
                cache = _link_caches.setdefault(engine, identity.LinkCache())
                estimates = _estimates.setdefault(engine, Estimates())
                await snapshot.identify(project, cache, estimates)
            yield snapshot
    except AnalyticsError:
        raise
    except DBAPIError as error:
        raise _translated(getattr(error.orig, "sqlstate", None), error) from error
    except asyncpg.PostgresError as error:
        raise _translated(error.sqlstate, error) from error
    except (*CONNECTION_ERRORS, PoolTimeout) as error:
        raise Unavailable("the database does not answer", retry_after=2) from error


def _translated(sqlstate: str | None, error: Exception) -> Exception:
    """The error that a client gets for an SQLSTATE; the error itself if it is our own mistake."""
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


def check_progress(started: float) -> None:
    """Raise Unavailable if statements since `started` took longer than one statement may.

    It is called between statements whose results are remembered: a second attempt continues there.
    """
    if time.monotonic() - started > STATEMENT_SECONDS:
        raise Unavailable(
            f"the question took longer than {STATEMENT_SECONDS} s; "
            "ask again, and it goes on from there",
            code="too_slow",
            retry_after=1,
        )


def _too_slow(seconds: float) -> Unavailable:
    return Unavailable(
        f"the question took longer than {seconds:g} s; "
        "ask for a shorter range, fewer groups or simpler filters",
        code="too_slow",
        retry_after=5,
    )
