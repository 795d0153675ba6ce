"""Cached keys: how long a lookup is fresh, and what an outage changes."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import create_async_engine

from analytics import projects
from analytics.errors import Forbidden, Unauthorized, Unavailable
from analytics.projects import ApiKey, DatabaseKeys, KeyCache, authorize, key_cache
from analytics.redis import RedisKeys
from tests.projects.kit import Clock, Shelf, a_key


class Slow(Shelf):
    """A key table whose outage is noticed only when `ends` is set."""

    def __init__(self, *keys: tuple[str, ApiKey]) -> None:
        super().__init__(*keys)
        self.began, self.ends = asyncio.Event(), asyncio.Event()

    async def find(self, digest: bytes) -> ApiKey | None:
        if self.out:
            self.began.set()
            await self.ends.wait()
            raise Unavailable("out")
        return await super().find(digest)


@pytest.mark.parametrize("source", ["redis", "database"])
async def test_a_source_that_does_not_answer_makes_unknown_keys_unavailable_never_unauthorized(
    source: str,
) -> None:
    dead = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    client = Redis(host="127.0.0.1", port=1)
    keys = KeyCache(RedisKeys(client) if source == "redis" else DatabaseKeys(dead))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await keys.find("ak_w_somebody")
    await client.aclose()
    await dead.dispose()


async def test_a_verdict_is_asked_for_once_while_it_is_fresh(clock: Clock) -> None:
    shelf = Shelf(("good", a_key()))
    keys = KeyCache(shelf)
    for _ in range(3):
        await keys.find("good")
    assert shelf.asked == 1
    clock.now += key_cache.FRESH_SECONDS
    await keys.find("good")
    assert shelf.asked == 2


async def test_an_unknown_key_is_asked_for_again_sooner_so_that_a_new_key_works_at_once(
    clock: Clock,
) -> None:
    shelf = Shelf()
    keys = KeyCache(shelf)
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await keys.find("new")
    assert shelf.asked == 1
    shelf.keys[projects.digest("new")] = a_key()
    clock.now += 5
    assert (await keys.find("new")).id == 1


async def test_known_keys_work_through_an_outage_and_the_source_is_not_asked_at_every_request(
    clock: Clock,
) -> None:
    shelf = Shelf(("good", a_key()))
    keys = KeyCache(shelf)
    await keys.find("good")
    shelf.out = True
    clock.now += 3600
    for _ in range(5):
        assert (await keys.find("good")).id == 1
        with pytest.raises(Unavailable):
            await keys.find("stranger")
    assert shelf.asked == 2
    shelf.out = False
    shelf.keys.clear()
    clock.now += 1
    with pytest.raises(Unauthorized):
        await keys.find("good")


async def test_an_old_refusal_is_not_repeated_during_an_outage(clock: Clock) -> None:
    shelf = Shelf()
    keys = KeyCache(shelf)
    with pytest.raises(Unauthorized):
        await keys.find("new")
    shelf.out = True
    clock.now += 60
    with pytest.raises(Unavailable):
        await keys.find("new")


async def test_a_flood_of_guesses_neither_grows_the_cache_nor_pushes_out_real_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_cache, "MAX_KEYS", 10)
    shelf = Shelf(("good", a_key()))
    keys = KeyCache(shelf)
    await keys.find("good")
    for number in range(100):
        with pytest.raises(Unauthorized):
            await keys.find(f"guess {number}")
    asked = shelf.asked
    await keys.find("good")
    assert shelf.asked == asked
    assert len(keys._unknown) == 10


async def test_a_key_expires_at_its_time_even_while_its_verdict_is_cached(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = datetime.now(UTC)

    class Calendar(datetime):
        @classmethod
        def now(cls, _: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return instant

    monkeypatch.setattr("analytics.projects.key.datetime", Calendar)
    shelf = Shelf(("brief", a_key(expires_at=instant + timedelta(seconds=0.3))))
    keys = KeyCache(shelf)
    await keys.find("brief")
    instant += timedelta(seconds=0.35)
    with pytest.raises(Unauthorized, match="expired"):
        await keys.find("brief")
    assert shelf.asked == 1


async def test_a_static_key_reads_every_project_without_asking_anyone() -> None:
    shelf = Shelf()
    key = await KeyCache(shelf, ["from-the-environment"]).find("from-the-environment")
    assert authorize(key, "query", "shop") == "shop"
    assert authorize(key, "realtime") == "default"
    with pytest.raises(Forbidden):
        authorize(key, "ingest")
    assert shelf.asked == 0


async def test_keys_are_ready_once_they_can_be_looked_up_and_then_through_any_outage(
    clock: Clock,
) -> None:
    shelf = Shelf()
    shelf.out = True
    keys = KeyCache(shelf)
    with pytest.raises(Unavailable, match="out"):
        await keys.check()
    clock.now += key_cache.START_SECONDS - 0.1
    with pytest.raises(Unavailable):
        await keys.check()
    shelf.out = False
    assert await keys.check() == "ok"
    shelf.out = True
    clock.now += 3600
    assert await keys.check() == "ok"


async def test_what_was_refused_before_keys_could_be_looked_up_is_not_refused_once_they_can(
    clock: Clock,
) -> None:
    shelf = Shelf(("good", a_key()))
    shelf.out = True
    keys = KeyCache(shelf)
    with pytest.raises(Unavailable):
        await keys.find("good")
    shelf.out = False
    assert await keys.check() == "ok"
    assert (await keys.find("good")).id == 1


async def test_a_lookup_that_failed_late_is_no_news_after_one_that_succeeded(
    clock: Clock,
) -> None:
    shelf = Slow(("good", a_key()))
    shelf.out = True
    keys = KeyCache(shelf)
    waiting = asyncio.create_task(keys.find("good"))
    await shelf.began.wait()
    shelf.out = False
    clock.now += 0.1
    assert await keys.check() == "ok"
    shelf.ends.set()
    with pytest.raises(Unavailable):
        await waiting
    assert (await keys.find("good")).id == 1


async def test_a_role_that_has_waited_for_keys_in_vain_goes_on_and_says_so(clock: Clock) -> None:
    """Or a collector that is started before the first processor would never be ready."""
    shelf = Shelf()
    shelf.out = True
    keys = KeyCache(shelf)
    clock.now += key_cache.START_SECONDS + 0.1
    assert await keys.check() == "ok: out"
    shelf.out = False
    assert await keys.check() == "ok"
