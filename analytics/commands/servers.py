"""The servers that a command works on: those set, or those that `analytics run` started."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.commands import connected
from analytics.commands.nearest import hint
from analytics.errors import CommandError, ConfigurationError
from analytics.events import DEFAULT_PROJECT
from analytics.logs import redact
from analytics.projects import list_projects, open_engine
from analytics.redis import connect as connect_redis
from analytics.redis import mirror
from analytics.settings import Settings
from analytics.terminal import say

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
    from analytics.stores.connections import connect  # late: an import needs no stores

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


async def change_register(
    settings: Settings, change: Callable[[AsyncEngine], Awaitable[None]]
) -> None:
    """Change the register, then mirror it to Redis for the roles without a database.

    When the mirror fails, the processor repeats it.
    """
    async with register(settings) as engine:
        await change(engine)
        if not settings.redis_url:
            say(
                "REDIS_URL is not set: the collector and realtime learn of the change from the "
                "processor, within half a minute",
                err=True,
            )
            return
        redis = connect_redis(settings)
        try:
            await mirror(engine, redis)
        except Exception as error:
            say(
                f"done, but Redis could not be updated: {redact(str(error))}; the processor "
                "updates it as soon as it can",
                err=True,
            )
        finally:
            await redis.aclose()


async def require_projects(settings: Settings, names: Iterable[str]) -> None:
    """Raises CommandError for a name that no project has: it must not look like an empty one."""
    named = [name for name in names if name != DEFAULT_PROJECT]
    if not named:
        return
    async with register(settings) as engine:
        known = [name for name, _ in await list_projects(engine)]
    for name in named:
        if name not in known:
            others = (
                "; `analytics projects list` shows all, and "
                f"`analytics projects create {name}` makes it"
            )
            raise CommandError(f"there is no project {name}{hint(name, known) or others}")
