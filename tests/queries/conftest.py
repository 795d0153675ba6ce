"""Databases for questions: with the rows that a test puts in, or filled by the real store."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.embedded import Postgres
from analytics.queries.database.snapshot import open_engine
from analytics.queries.precomputed import pieces
from analytics.settings import Settings
from tests import servers, timescale
from tests.queries.asker import Asker
from tests.queries.storing import Storer, opened


@pytest.fixture(scope="package")
def events_url(postgres_server: Postgres, migrated_database: str) -> Iterator[str]:
    """A migrated database that takes events of any age."""
    with servers.database(postgres_server, template=migrated_database) as url:
        yield url


class OneConnection:
    """What an Asker needs of a connection, through the one that an engine reads with, for a server
    that takes one at a time.
    """

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
    """What holds for random rows holds for them in each layout of the tables; a named case is about
    one.
    """
    if "asker" in metafunc.fixturenames:
        layouts = (
            ("plain", "timescale")
            if getattr(metafunc.function, "is_hypothesis_test", False)
            else ("plain",)
        )
        metafunc.parametrize(
            "asker",
            layouts,
            indirect=True,
            scope="package",
            ids=layouts if len(layouts) > 1 else [pytest.HIDDEN_PARAM],
        )


@pytest.fixture(scope="package")
async def asker(request: pytest.FixtureRequest) -> AsyncIterator[Asker]:
    if request.param == "timescale":
        url = request.getfixturevalue("timescale_server")
        await timescale.empty(url)
        engine = open_engine(Settings(database_url=url), connections=1)
        asker = Asker(OneConnection(engine), engine)
        # so that most questions are about several chunks
        await asker.connection.execute(
            "select set_chunk_time_interval('raw_events', interval '20 days')"
        )
        yield asker
        await asker.connection.execute(
            "select set_chunk_time_interval('raw_events', interval '7 days')"
        )
        await engine.dispose()
        return
    url = request.getfixturevalue("events_url")
    engine = open_engine(Settings(database_url=url))
    writer = await asyncpg.connect(url)
    await writer.execute(
        "create table if not exists raw_events_of_any_age partition of raw_events default"
    )
    yield Asker(writer, engine)
    await writer.close()
    await engine.dispose()


@pytest.fixture(scope="module")
async def storer(postgres_server: Postgres, migrated_database: str) -> AsyncIterator[Storer]:
    """A database of the module's own that the real store fills."""
    async with opened(postgres_server, migrated_database) as storer:
        yield storer


@pytest.fixture(scope="module")
def rather_precomputed() -> Iterator[None]:
    """However much of a range only raw rows can say, the rest comes from what is precomputed or
    remembered.
    """
    with patch.object(pieces, "MAX_RAW_SHARE", float("inf")):
        yield
