"""API keys: what they open, how long a lookup is cached, and what an outage changes."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from analytics import projects, tables
from analytics.errors import BadRequest, Forbidden, NotFound, Unauthorized, Unavailable
from analytics.projects import DatabaseKeys, Key, KeyCache, authorize, key_cache
from analytics.redis import RedisKeys, key_mirror, mirror


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        await connection.run_sync(
            tables.metadata.create_all, tables=[tables.projects, tables.api_keys]
        )
    yield engine
    await engine.dispose()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


class Shelf:
    """A key table that counts its lookups, and can have an outage."""

    def __init__(self, *keys: tuple[str, Key]) -> None:
        self.keys = {projects.digest(token): key for token, key in keys}
        self.asked = 0
        self.out = False

    async def find(self, digest: bytes) -> Key | None:
        self.asked += 1
        if self.out:
            raise Unavailable("out")
        return self.keys.get(digest)


def a_key(**changes: object) -> Key:
    fields = {
        "id": 1,
        "prefix": "ak_w_xxxxxxx",
        "project": "shop",
        "scopes": frozenset({"ingest"}),
    } | changes
    return Key(**fields)  # type: ignore[arg-type]


class Clock:
    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(key_cache, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("scopes", "letter"),
    [
        (["ingest"], "w"),
        (["query"], "r"),
        (["query", "realtime"], "r"),
        (["ingest", "query"], "a"),
        (["admin"], "a"),
    ],
)
async def test_the_letter_of_a_key_tells_what_it_may_do(
    engine: AsyncEngine, scopes: list[str], letter: str
) -> None:
    token, key = await projects.create_key(engine, scopes=scopes, project=None)
    assert token.startswith(f"ak_{letter}_")
    assert key.scopes == set(scopes)


async def test_only_the_digest_and_a_short_beginning_of_a_key_are_stored(
    engine: AsyncEngine,
) -> None:
    token, _ = await projects.create_key(engine, scopes=["query"], project=None)
    async with engine.connect() as connection:
        row = (await connection.execute(select(tables.api_keys))).one()
    assert row.digest == projects.digest(token)
    assert row.prefix == token[:12]
    assert len(token) - 5 >= 43  # 256 bits in base 64
    assert token not in repr(row)


async def test_a_created_key_is_found_in_the_database_with_all_that_was_said_of_it(
    engine: AsyncEngine,
) -> None:
    await projects.create_project(engine, "shop")
    expires = datetime.now(UTC) + timedelta(days=1)
    token, key = await projects.create_key(
        engine,
        scopes=["ingest"],
        project="shop",
        origins=["https://shop.example"],
        expires_at=expires,
        name="web",
    )
    cached_key = await KeyCache(DatabaseKeys(engine)).find(token)
    assert cached_key == key
    assert (cached_key.project, cached_key.origins, cached_key.expires_at, cached_key.name) == (
        "shop",
        ("https://shop.example",),
        expires,
        "web",
    )


async def test_a_mirrored_key_is_found_in_redis_just_as_in_the_database(
    engine: AsyncEngine, redis: Redis
) -> None:
    token, key = await projects.create_key(
        engine,
        scopes=["ingest"],
        project="default",
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    assert await mirror(engine, redis) == 1
    assert await KeyCache(RedisKeys(redis)).find(token) == key


async def test_a_key_absent_from_a_written_mirror_is_unknown(
    engine: AsyncEngine, redis: Redis
) -> None:
    await mirror(engine, redis)
    with pytest.raises(Unauthorized):
        await KeyCache(RedisKeys(redis)).find("ak_w_nobody")


async def test_without_a_mirror_nothing_is_said_of_a_key(redis: Redis) -> None:
    with pytest.raises(Unavailable):
        await KeyCache(RedisKeys(redis)).find("ak_w_somebody")


async def test_a_mirror_that_cannot_be_read_is_an_outage_and_no_verdict(
    engine: AsyncEngine, redis: Redis
) -> None:
    await mirror(engine, redis)
    await redis.hset(key_mirror.KEYS, projects.digest("ak_w_x").hex(), "\x01garbage")  # type: ignore[misc]
    with pytest.raises(Unavailable):
        await KeyCache(RedisKeys(redis)).find("ak_w_x")


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


async def test_a_database_without_tables_makes_keys_unavailable(database_url: str) -> None:
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    with pytest.raises(Unavailable):
        await KeyCache(DatabaseKeys(engine)).find("ak_w_somebody")
    await engine.dispose()


async def test_a_revoked_key_is_refused_after_the_next_mirroring(
    engine: AsyncEngine, redis: Redis, clock: Clock
) -> None:
    token, _ = await projects.create_key(engine, scopes=["ingest"], project=None)
    await mirror(engine, redis)
    keys = KeyCache(RedisKeys(redis))
    await keys.find(token)
    await projects.revoke_key(engine, token[:9])
    await mirror(engine, redis)
    clock.now += 30  # and the mirror itself is at most 30 s old: a minute in all
    with pytest.raises(Unauthorized, match="revoked"):
        await keys.find(token)


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


@pytest.mark.parametrize(
    ("key", "scope", "project", "origin", "expected"),
    [
        (a_key(), "ingest", None, None, "shop"),
        (a_key(), "ingest", "shop", None, "shop"),
        (a_key(), "ingest", "other", None, Forbidden),
        (a_key(), "query", None, None, Forbidden),
        (a_key(project=None), "ingest", None, None, "default"),
        (a_key(project=None), "ingest", "other", None, "other"),
        (a_key(scopes=frozenset({"admin"})), "query", None, None, "shop"),
        (a_key(origins=("https://a.example",)), "ingest", None, "https://a.example", "shop"),
        (a_key(origins=("https://a.example",)), "ingest", None, "https://b.example", Forbidden),
        (a_key(origins=("https://a.example",)), "ingest", None, None, "shop"),
    ],
)
def test_a_key_opens_its_project_for_its_scopes_and_origins_only(
    key: Key, scope: str, project: str | None, origin: str | None, expected: object
) -> None:
    if expected is Forbidden:
        with pytest.raises(Forbidden):
            authorize(key, scope, project, origin=origin)
    else:
        assert authorize(key, scope, project, origin=origin) == expected


async def test_a_beginning_that_two_keys_share_revokes_neither(engine: AsyncEngine) -> None:
    for _ in range(2):
        await projects.create_key(engine, scopes=["ingest"], project=None)
    with pytest.raises(BadRequest, match="2 keys"):
        await projects.revoke_key(engine, "ak_w_")
    assert not any(key.revoked for key in await projects.list_keys(engine))


async def test_a_key_can_be_revoked_by_its_id_or_its_text(engine: AsyncEngine) -> None:
    _, first = await projects.create_key(engine, scopes=["ingest"], project=None)
    token, second = await projects.create_key(engine, scopes=["ingest"], project=None)
    assert (await projects.revoke_key(engine, str(first.id))).id == first.id
    assert (await projects.revoke_key(engine, token)).id == second.id
    assert all(key.revoked for key in await projects.list_keys(engine))


@pytest.mark.parametrize("which", ["77", "9" * 30, "ak_w_nobody", "ak_r_" + "x" * 43, "%"])
async def test_revoking_what_is_not_there_says_so(engine: AsyncEngine, which: str) -> None:
    await projects.create_key(engine, scopes=["ingest"], project=None)
    with pytest.raises(NotFound):
        await projects.revoke_key(engine, which)


@pytest.mark.parametrize("scopes", [[], ["everything"]])
async def test_a_key_without_a_known_scope_is_refused(
    engine: AsyncEngine, scopes: list[str]
) -> None:
    with pytest.raises(BadRequest):
        await projects.create_key(engine, scopes=scopes, project=None)


async def test_a_key_for_a_project_that_is_not_there_is_refused(engine: AsyncEngine) -> None:
    with pytest.raises(NotFound):
        await projects.create_key(engine, scopes=["ingest"], project="typo")


async def test_a_project_is_made_once(engine: AsyncEngine) -> None:
    assert await projects.create_project(engine, "shop")
    assert not await projects.create_project(engine, "shop")
    assert [name for name, _ in await projects.list_projects(engine)] == ["shop"]


@pytest.mark.parametrize("name", ["", "-x", "a b", "a:b", "x" * 65, "a\n"])
async def test_a_project_needs_a_plain_name(engine: AsyncEngine, name: str) -> None:
    with pytest.raises(BadRequest):
        await projects.create_project(engine, name)
