"""Migrations: bring a database's schema to this release's with Alembic, one migrator at a time."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import msgspec

from analytics.connection_errors import CONNECTION_ERRORS
from analytics.errors import CommandError, Unavailable, driver_error
from analytics.settings import Settings
from analytics.stores.connections import connect
from analytics.stores.faults import describe
from analytics.stores.layouts.layout import detect

VERSION = "SELECT version_num FROM alembic_version"


class Migration(msgspec.Struct, frozen=True):
    """The revisions before and after a migration; `before` is None in an empty database."""

    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def scripts() -> Path:
    """The folder of Alembic's scripts: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "alembic"


def head() -> str:
    """The newest revision of this release.

    It is read from the file names (`0001_….py`), so that Alembic need not be imported.
    """
    return max(
        match[1]
        for path in (scripts() / "versions").iterdir()
        if (match := re.match(r"(\d{4})_.*\.py$", path.name))
    )


def require(revision: str | None) -> None:
    """Raises Unavailable if a database's schema, at this revision, is older than this release."""
    if revision is None or revision < head():
        raise Unavailable(
            f"the schema is at {revision or 'nothing'} and this release needs {head()}:"
            " run `analytics migrate`"
        )


def migrate(database_url: str, settings: Settings) -> Migration:
    """Upgrade the schema to `head()`.

    Does nothing where the schema is there already, or ahead because a newer release runs beside
    this one. Several replicas may call it at once: one runs, the others wait for it and find
    nothing to do. It may be called from an event loop's thread too, which it then blocks. Raises
    CommandError with one line that says what went wrong.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_migrate, database_url, settings).result()


def _migrate(database_url: str, settings: Settings) -> Migration:
    target = head()
    try:
        before = asyncio.run(_version(database_url, settings))
        if before is not None and before >= target:
            return Migration(before, before)
        before = _upgrade(database_url)
        asyncio.run(_maintain(database_url, settings))
    except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
        raise CommandError(
            f"the database could not be migrated: {describe(error)};"
            " `analytics doctor` tells whether it can be reached"
        ) from error
    return Migration(before, target)


def _upgrade(database_url: str) -> str | None:
    """Run Alembic; returns the revision that it found once it was its turn."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError as AlembicError
    from sqlalchemy.exc import DBAPIError

    config = Config(attributes={"url": database_url})
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        raise CommandError(f"the database could not be migrated: {driver_error(error)}") from error
    except (AlembicError, RuntimeError) as error:
        raise CommandError(f"the database could not be migrated: {error}") from error
    before: str | None = config.attributes["before"]
    return before


async def version(connection: asyncpg.Connection) -> str | None:
    """The revision of a database's schema; None before the first migration."""
    try:
        revision: str | None = await connection.fetchval(VERSION)
    except asyncpg.UndefinedTableError:
        return None
    return revision


async def _version(database_url: str, settings: Settings) -> str | None:
    async with connect(database_url, settings) as connection:
        return await version(connection)


async def _maintain(database_url: str, settings: Settings) -> None:
    """Make the first partitions, or set the policies, before the first event comes."""
    async with connect(database_url, settings) as connection:
        layout = await detect(connection)
        await layout.maintain(connection, settings)
