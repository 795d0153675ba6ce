"""A snapshot: what its client hears of a database that fails."""

import asyncpg
import pytest
from sqlalchemy import select

from analytics.errors import Unavailable
from analytics.queries.database.snapshot import open_engine, open_snapshot
from analytics.settings import Settings
from tests.queries.asker import StillQueue


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 15; another operation is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        OSError("no route"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_happens_to_its_connection_the_client_hears_that_it_may_try_again(
    migrated_url: str, error: Exception
) -> None:
    engine = open_engine(Settings(database_url=migrated_url), connections=1)
    with pytest.raises(Unavailable, match="does not answer") as caught:
        async with open_snapshot(engine, StillQueue()):  # type: ignore[arg-type]
            raise error
    assert caught.value.retry_after > 0
    async with open_snapshot(engine, StillQueue()) as snapshot:  # type: ignore[arg-type]
        assert len(await snapshot.rows(select(1))) == 1
    await engine.dispose()
