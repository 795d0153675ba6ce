"""A database with events in it, and a way to ask it questions without a server in between."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.embedded import Postgres
from analytics.events import Event
from analytics.projects import Key
from analytics.queries import QUESTIONS, Question, Sources, answer
from analytics.queries.read import open_engine
from analytics.queue.reader import Horizon
from analytics.settings import Settings
from tests import servers, timescale
from tests.queries.oracle import Row
from tests.queries.streams import exact

EVERYTHING = Key(id=1, prefix="ak_r_", project=None, scopes=frozenset({"query"}))
WATERMARK = datetime(2026, 11, 23, 12, tzinfo=UTC)


class StillQueue:
    """The queue at the seam: nothing waits in it."""

    async def horizon(self) -> Horizon:
        return Horizon(WATERMARK, waiting=False)

    async def find(self, project: str, event_id: UUID) -> Event | None:
        return None


class Asker:
    """Puts rows into the database and questions to it."""

    def __init__(self, connection: asyncpg.Connection, engine: AsyncEngine) -> None:
        self.connection = connection
        self.engine = engine

    async def hold(self, rows: Iterable[Row], project: str = "default") -> None:
        """These rows and no others."""
        await self.connection.execute("truncate raw_events")
        await self.add(rows, project)

    async def add(self, rows: Iterable[Row], project: str = "default") -> None:
        """These rows too."""
        await self.connection.executemany(
            "insert into raw_events (project, id, session_id, user_id, event_type, event_action, metadata, timestamp, created_at)"
            " values ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $8)",
            [(project, row.id, row.session_id, row.user_id, row.event_type, row.event_action, exact(row.metadata), row.timestamp) for row in rows],
        )

    async def ask(self, path: str, *parameters: tuple[str, str], key: Key = EVERYTHING, **inside: str) -> Any:
        """The whole answer to `GET /api{path}?parameters`; `inside` are the parameters in the path."""
        return await self.ask_raw(path, urlencode(parameters).encode(), key, **inside)

    async def ask_raw(self, path: str, query: bytes, key: Key = EVERYTHING, **inside: str) -> Any:
        """The same, of a query string as it is."""
        question = next(question for question in QUESTIONS if question.path == path)
        return json.loads(await self.body(question, query, inside, key))

    async def body(self, question: Question, query: bytes, inside: Mapping[str, str], key: Key = EVERYTHING) -> bytes:
        """The answer as it is sent."""
        sources = Sources(self.engine, StillQueue())  # type: ignore[arg-type]
        found = await answer(question, query, inside, key, sources)
        return found if isinstance(found, bytes) else b"".join([chunk async for chunk in found.chunks])


@pytest.fixture(scope="package")
def events_url(postgres_server: Postgres, migrated_database: str) -> Iterator[str]:
    """A migrated database that takes events of any age."""
    with servers.database(postgres_server, template=migrated_database) as url:
        yield url


class OneConnection:
    """What an Asker needs of a connection, through the one that an engine reads with, for a server that takes one at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def execute(self, sql: str, *values: Any) -> Any:
        return await self._with("execute", sql, *values)

    async def executemany(self, sql: str, rows: Iterable[Any]) -> Any:
        return await self._with("executemany", sql, rows)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        return await self._with("fetchval", sql, *values)

    async def _with(self, method: str, *arguments: Any) -> Any:
        async with self._engine.connect() as connection:
            raw = await connection.get_raw_connection()
            return await getattr(raw.driver_connection, method)(*arguments)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What holds for random rows holds for them in each layout of the tables; a named case is about one."""
    if "asker" in metafunc.fixturenames:
        layouts = ("plain", "timescale") if getattr(metafunc.function, "is_hypothesis_test", False) else ("plain",)
        metafunc.parametrize("asker", layouts, indirect=True, scope="package", ids=layouts if len(layouts) > 1 else [pytest.HIDDEN_PARAM])


@pytest.fixture(scope="package")
async def asker(request: pytest.FixtureRequest) -> AsyncIterator[Asker]:
    if request.param == "timescale":
        url = request.getfixturevalue("timescale_server")
        await timescale.empty(url)
        engine = open_engine(Settings(database_url=url), connections=1)
        asker = Asker(OneConnection(engine), engine)
        await asker.connection.execute("select set_chunk_time_interval('raw_events', interval '20 days')")  # most questions are about several
        yield asker
        await asker.connection.execute("select set_chunk_time_interval('raw_events', interval '7 days')")
        await engine.dispose()
        return
    url = request.getfixturevalue("events_url")
    engine = open_engine(Settings(database_url=url))
    writer = await asyncpg.connect(url)
    await writer.execute("create table if not exists raw_events_of_any_age partition of raw_events default")
    yield Asker(writer, engine)
    await writer.close()
    await engine.dispose()
