"""The servers that a command works on: those set, or those that `analytics run` started."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.commands import connected
from analytics.errors import CommandError, ConfigurationError
from analytics.projects import open_engine
from analytics.settings import Settings
from analytics.stores.connections import connect

UNDEFINED_TABLE = "42P01"
NO_TABLES = "the database has no tables yet; run `analytics migrate`"


def located(*names: str) -> Settings:
    """The settings, with each variable in `names` set.

    Raises ConfigurationError, which says what to do, when one of them is not set.
    """
    settings = connected()
    for name in names:
        if not getattr(settings, name.lower()):
            raise ConfigurationError(
                f"{name} is not set, and no `analytics run` with its own servers is running "
                f"here; set {name}, or start one",
                field=name,
            )
    return settings


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A connection without statement time-out; raises CommandError when there are no tables."""
    try:
        async with connect(settings.database(), settings, patient=True) as connection:
            yield connection
    except asyncpg.UndefinedTableError as error:
        raise CommandError(NO_TABLES) from error


@asynccontextmanager
async def register(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The database with projects and API keys; raises CommandError when it has no tables yet."""
    engine = open_engine(settings.database())
    try:
        yield engine
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) == UNDEFINED_TABLE:
            raise CommandError(NO_TABLES) from error
        raise
    finally:
        await engine.dispose()
