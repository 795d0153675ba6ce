"""What changes the fingerprint, so that a cached answer is not given again."""

from datetime import UTC, datetime, timedelta

import asyncpg
import httpx2
import msgspec

from analytics.derived.deltas import Dimensions
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.stores.upkeep import rebuild
from tests.queries.answers.cached import OLD, cached, put, total, trends_of


async def test_what_retention_drops_is_gone_from_the_next_answer(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings
) -> None:
    await put(store, days=30)
    older = trends_of(33, 25)
    assert [
        (total(answer), cached(answer)) for answer in [await http.get(older) for _ in range(2)]
    ] == [(1, False), (1, True)]
    keeper = await PostgresStore.open(msgspec.structs.replace(config, retention_days=8))
    await keeper.maintain()
    await keeper.close()
    assert total(await http.get(older)) == 0


async def test_an_answer_is_made_anew_after_a_rebuild(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings
) -> None:
    await put(store)
    assert [cached(await http.get(OLD)) for _ in range(2)] == [False, True]
    connection = await asyncpg.connect(config.database())
    day = int((datetime.now(UTC) - timedelta(days=6)).timestamp()) // 86400 * 24
    await rebuild.day(connection, "default", day, Dimensions(()))
    await connection.close()
    again = await http.get(OLD)
    assert (cached(again), total(again)) == (False, 1)
