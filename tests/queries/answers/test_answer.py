"""An answer in its envelope, and what HTTP caches are told of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis

from analytics.epoch import Epoch
from analytics.queries.database import epoch as known
from analytics.queue import scripts
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.stores.upkeep import epoch
from tests.queries.answers.cached import OLD, cached, put


async def test_etag_and_304(http: httpx2.AsyncClient, store: PostgresStore) -> None:
    await put(store)
    first = await http.get(OLD)
    assert first.headers["cache-control"] == "private, max-age=30"
    assert first.headers["vary"] == "Authorization, X-API-Key, Origin", (
        "whose answer it is decides who may be given it"
    )
    for tags in (first.headers["etag"], f'"x", W/{first.headers["etag"]}'):
        again = await http.get(OLD, headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (
            304,
            b"",
            first.headers["etag"],
        )
    assert (await http.get(OLD, headers={"If-None-Match": '"x"'})).status_code == 200
    assert (await http.get("/api/trends?last=7d")).headers["cache-control"] == "private, max-age=2"
    events = await http.get("/api/events")
    assert (events.headers["cache-control"], "etag" in events.headers) == (
        "private, no-cache",
        True,
    )


NOW = "/api/trends?last=7d"


async def meta(http: httpx2.AsyncClient, path: str) -> Any:
    return (await http.get(path)).json()["meta"]


async def agree(store: PostgresStore, redis: Redis, sure_until: datetime) -> None:
    """Both stores hold the same, and did so until now."""
    row = Epoch(epoch="e", turn=7, seen_at=sure_until, sure_until=sure_until)
    names = Epoch.__struct_fields__
    await store._pool.execute(epoch.WRITE, *(getattr(row, name) for name in names))
    await redis.set(scripts.EPOCH, str(row.mark))


@pytest.mark.parametrize("older", [None, "e:6", "other:7"])
async def test_an_answer_says_at_once_since_when_events_may_be_lost_a_cached_one_too(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings, older: str | None
) -> None:
    sure_until = datetime.now(UTC) - timedelta(hours=1)
    async with Redis.from_url(config.redis()) as redis:
        await agree(store, redis, sure_until)
        await put(store)
        whole = await http.get(NOW)
        assert whole.json()["meta"]["partial"] is False
        assert "unsure_since" not in whole.json()["meta"]
        old = (await http.get(OLD)).headers["etag"]

        await (redis.set(scripts.EPOCH, older) if older else redis.delete(scripts.EPOCH))
        unsure = await http.get(NOW, headers={"If-None-Match": whole.headers["etag"]})
        assert (unsure.status_code, cached(unsure)) == (200, True)
        assert unsure.json()["meta"]["partial"] is True
        assert datetime.fromisoformat(unsure.json()["meta"]["unsure_since"]) == sure_until
        tag = {"If-None-Match": unsure.headers["etag"]}
        assert (await http.get(NOW, headers=tag)).status_code == 304
        assert (await meta(http, "/api/events"))["partial"] is True
        file = await http.get("/api/export?last=7d")
        assert datetime.fromisoformat(file.headers["x-unsure-since"]) == sure_until

        earlier = await http.get(OLD)
        assert earlier.json()["meta"]["partial"] is False, "it ended before"
        assert earlier.headers["etag"] == old
        assert "x-unsure-since" not in (await http.get(OLD.replace("trends", "export"))).headers


async def test_a_loss_is_said_until_it_is_acknowledged_and_while_redis_is_away(
    http: httpx2.AsyncClient,
    store: PostgresStore,
    config: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known, "FRESH_SECONDS", 0.0)
    lost_from = datetime.now(UTC) - timedelta(hours=1)
    async with Redis.from_url(config.redis()) as redis:
        await agree(store, redis, lost_from)
        await redis.delete(scripts.EPOCH)

        async def look() -> tuple[None, datetime]:
            return None, datetime.now(UTC)

        async def put_mark(_: object, mark: object) -> bool:
            return bool(await redis.set(scripts.EPOCH, str(mark)))

        await store.compare_epoch(look, put_mark)
        assert datetime.fromisoformat((await meta(http, NOW))["unsure_since"]) == lost_from
        with monkeypatch.context() as away:
            away.setattr("analytics.queries.answers.answer.WATERMARK_SECONDS", -1.0)
            answer = await meta(http, "/api/events")
            assert answer["watermark"] is None
            assert datetime.fromisoformat(answer["unsure_since"]) == lost_from
        async with store._pool.acquire() as connection:
            await epoch.acknowledge(connection)
        answer = await meta(http, NOW)
        assert (answer["partial"], "unsure_since" in answer) == (False, False)


async def test_before_the_first_processor_nothing_is_unsure(http: httpx2.AsyncClient) -> None:
    assert (await meta(http, NOW))["partial"] is False
