"""The register: keys and projects made, listed and revoked in the database."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from analytics import projects, tables
from analytics.errors import BadRequest, NotFound, Unauthorized, Unavailable
from analytics.projects import DatabaseKeys, KeyCache, KnownProjects


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


async def test_the_origins_of_a_row_are_as_browsers_send_them(engine: AsyncEngine) -> None:
    typed = ["https://München.example", "https://shop.example:443"]
    token, _ = await projects.create_key(engine, scopes=["ingest"], project=None, origins=typed)
    assert (await KeyCache(DatabaseKeys(engine)).find(token)).origins == (
        "https://xn--mnchen-3ya.example",
        "https://shop.example",
    )


@pytest.mark.parametrize(
    ("written", "works"),
    [("infinity", True), ("20000-01-01Z", True), ("-infinity", False), ("0001-01-01Z BC", False)],
)
async def test_a_time_that_only_postgresql_has_is_the_last_or_the_first_of_pythons(
    engine: AsyncEngine, written: str, works: bool
) -> None:
    """Operators write these by SQL, so that a key never expires, or no longer works."""
    await projects.create_project(engine, "shop")
    token, _ = await projects.create_key(engine, scopes=["query"], project="shop")
    other, _ = await projects.create_key(engine, scopes=["query"], project=None)
    async with engine.begin() as connection:
        for change in (
            f"UPDATE api_keys SET expires_at = '{written}' WHERE project = 'shop'",
            f"UPDATE api_keys SET created_at = '{written}'",
            f"UPDATE projects SET created_at = '{written}'",
        ):
            await connection.exec_driver_sql(change)
    keys = KeyCache(DatabaseKeys(engine))
    with nullcontext() if works else pytest.raises(Unauthorized):
        await keys.find(token)
    assert (await keys.find(other)).expires_at is None
    await KnownProjects(engine).require("shop")
    ((_, created_at),) = [
        each for each in await projects.list_projects(engine) if each[0] == "shop"
    ]
    key = (await projects.list_keys(engine))[0]
    assert key.created_at == key.expires_at == created_at
    assert created_at.astimezone(ZoneInfo("Pacific/Kiritimati")).tzinfo
    assert (await projects.revoke_key(engine, token)).revoked


async def test_a_database_without_tables_makes_keys_unavailable(database_url: str) -> None:
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    with pytest.raises(Unavailable):
        await KeyCache(DatabaseKeys(engine)).find("ak_w_somebody")
    await engine.dispose()


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
