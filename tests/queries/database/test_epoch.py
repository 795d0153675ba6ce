"""The row of the epoch, as an api remembers it."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from analytics.epoch import Epoch
from analytics.errors import Unavailable
from analytics.queries.database import epoch
from analytics.queries.database.epoch import KnownEpoch
from analytics.queries.database.snapshot import open_engine
from analytics.queue.reader import Reader
from analytics.settings import Settings
from tests.queries.asker import StillQueue
from tests.stores.conftest import connected
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
async def known(migrated_url: str) -> AsyncIterator[KnownEpoch]:
    engine = open_engine(Settings(database_url=migrated_url))
    yield KnownEpoch(engine, cast(Reader, StillQueue()))
    await engine.dispose()


async def renew(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("update queue_epoch set turn = turn + 1")


async def turn(known: KnownEpoch) -> int | None:
    row = await known.get()
    return row.turn if row else None


async def test_the_row_is_read_once_for_all_who_ask_and_again_when_it_is_old(
    known: KnownEpoch, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = known._read

    async def counted() -> Epoch | None:
        nonlocal reads
        reads += 1
        return await read()

    monkeypatch.setattr(known, "_read", counted)
    monkeypatch.setattr(epoch, "FRESH_SECONDS", 1e9)
    assert await asyncio.gather(*(turn(known) for _ in range(20))) == [1] * 20
    await renew(migrated_url)
    assert (await turn(known), reads) == (1, 1)
    known._fresh_until = 0.0
    assert (await turn(known), reads) == (2, 2)


async def test_a_database_that_hangs_is_not_waited_for(
    known: KnownEpoch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await turn(known) == 1
    known._fresh_until = 0.0
    monkeypatch.setattr(epoch, "READ_SECONDS", 0.01)
    monkeypatch.setattr(known, "_read", asyncio.Event().wait)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await turn(known) == 1


@pytest.mark.parametrize("error", [Unavailable("the database is down"), TimeoutError()])
async def test_while_the_database_does_not_answer_an_older_row_serves(
    known: KnownEpoch, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(epoch, "FRESH_SECONDS", 0.0)

    async def away() -> Epoch:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(known, "_read", away)
        assert await turn(known) is None
    assert await turn(known) == 1
    monkeypatch.setattr(known, "_read", away)
    assert await turn(known) == 1
