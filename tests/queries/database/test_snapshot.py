"""A snapshot: what its client hears of a database that fails."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from analytics.errors import Unavailable
from analytics.queries.database import snapshot as module
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


async def test_the_loop_has_its_turns_while_many_rows_are_made(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 100)
    execute, turns, made = AsyncConnection.execute, 0, asyncio.Event()

    def take_turn() -> None:
        nonlocal turns
        if not made.is_set():
            turns += 1
            asyncio.get_running_loop().call_soon(take_turn)

    async def executed(*arguments: Any) -> Any:
        result = await execute(*arguments)
        asyncio.get_running_loop().call_soon(take_turn)
        return result

    monkeypatch.setattr(AsyncConnection, "execute", executed)
    engine = open_engine(Settings(database_url=migrated_url), connections=1)
    async with open_snapshot(engine, StillQueue()) as snapshot:  # type: ignore[arg-type]
        rows = await snapshot.rows(select(func.generate_series(1, 950)))
        made.set()
    await engine.dispose()
    assert [number for (number,) in rows] == [*range(1, 951)]
    assert turns >= 9
