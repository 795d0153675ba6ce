"""Which projects exist: found once, remembered; never found, looked up again."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from analytics import projects
from analytics.errors import NotFound, Unavailable
from analytics.projects import KnownProjects, key_cache, known_projects
from tests.projects.kit import Clock


async def test_a_project_that_is_made_is_there_at_once(engine: AsyncEngine) -> None:
    known = KnownProjects(engine)
    with pytest.raises(NotFound) as caught:
        await known.require("shop")
    assert (caught.value.code, caught.value.field) == ("no_project", "project")
    await projects.create_project(engine, "shop")
    await known.require("shop")


async def test_a_known_project_is_looked_up_again_only_after_a_while(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(known_projects, "time", clock)
    await projects.create_project(engine, "shop")
    known = KnownProjects(engine)
    await known.require("shop")
    async with engine.begin() as connection:
        await connection.execute(text("delete from projects"))
    clock.now += key_cache.FRESH_SECONDS - 1
    await known.require("shop")
    clock.now += 1
    with pytest.raises(NotFound):
        await known.require("shop")


async def test_the_default_project_needs_no_look_and_others_a_database() -> None:
    dead = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    known = KnownProjects(dead)
    await known.require("default")
    with pytest.raises(Unavailable):
        await known.require("shop")
    await dead.dispose()
