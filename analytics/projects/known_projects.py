"""Which projects exist: a name that was found once is not looked up each time."""

import time

import asyncpg
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import NotFound, Unavailable
from analytics.events import DEFAULT_PROJECT
from analytics.lru import Lru
from analytics.projects.key_cache import FRESH_SECONDS, MAX_KEYS
from analytics.tables import projects


class KnownProjects:
    """The projects in the database; names that do not exist are looked up at every request."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._fresh_until: Lru[str, float] = Lru(MAX_KEYS)

    async def require(self, name: str) -> None:
        """Raises NotFound for a name that no project has, Unavailable when that cannot be told."""
        if name == DEFAULT_PROJECT or time.monotonic() < (self._fresh_until.get(name) or 0):
            return
        try:
            async with self._engine.connect() as connection:
                rows = await connection.execute(select(projects).where(projects.c.name == name))
                found = rows.one_or_none() is not None
        except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise Unavailable("the database does not answer") from error
        if not found:
            raise NotFound(f"there is no project {name!r}", code="no_project", field="project")
        self._fresh_until.put(name, time.monotonic() + FRESH_SECONDS)
