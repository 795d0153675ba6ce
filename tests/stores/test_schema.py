"""Migrations make the tables of tables.py, once, however many replicas migrate at the same time."""

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from analytics import tables
from analytics.errors import CommandError
from analytics.settings import Settings
from analytics.stores import Migration, migrate, schema
from tests.stores.conftest import connected

REPOSITORY = Path(__file__).parents[2]

MIGRATE = (
    "import sys; from analytics.stores import migrate; from analytics.settings import Settings;"
    " migration = migrate(sys.argv[1], Settings())"
)
"""A program for a process of its own, which migrates the database that it is given."""


def of_ours(
    thing: object, name: str | None, kind: str, reflected: bool, compare_to: object
) -> bool:
    """Leaves out partitions, which are made as time goes by and are not in tables.py."""
    return not (kind == "table" and str(name).startswith("raw_events_p"))


async def test_the_migrated_schema_is_what_tables_says(store_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True, "include_object": of_ours}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata)
        )

    engine = create_async_engine(make_url(store_url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        changes = await connection.run_sync(differences)
    await engine.dispose()
    assert changes == []


def test_an_empty_database_is_brought_to_head_once(database_url: str) -> None:
    settings = Settings(database_url=database_url)
    assert migrate(database_url, settings) == Migration(None, schema.head())
    assert migrate(database_url, settings) == Migration(schema.head(), schema.head())


async def test_migrating_works_in_an_event_loops_thread(database_url: str) -> None:
    assert migrate(database_url, Settings()).changed


async def test_of_four_migrators_one_runs(database_url: str) -> None:
    program = f"{MIGRATE}; print(migration.changed)"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            database_url,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    answers = [await process.communicate() for process in processes]
    assert sorted(out.strip() for out, _ in answers) == [b"False", b"False", b"False", b"True"], (
        answers
    )


async def test_a_schema_of_a_newer_release_is_left_alone(migrated_url: str) -> None:
    async with connected(migrated_url) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert migrate(migrated_url, Settings()) == Migration("9999", "9999")


def test_a_schema_at_head_is_found_without_alembic(migrated_url: str) -> None:
    program = f"{MIGRATE}; print('alembic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, migrated_url],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_a_database_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(CommandError, match="could not be migrated"):
        migrate("postgresql://postgres@127.0.0.1:1/none", Settings())


def test_what_stands_in_the_way_is_named(database_url: str) -> None:
    async def stand_in_the_way() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("CREATE TABLE daily_metrics ()")
        await connection.close()

    asyncio.run(stand_in_the_way())
    with pytest.raises(CommandError, match='"daily_metrics" already exists'):
        migrate(database_url, Settings())


def test_down_is_empty_and_up_again_works(database_url: str) -> None:
    migrate(database_url, Settings())
    environment = {"DATABASE_URL": database_url, "PATH": "/usr/bin:/bin"}
    for direction in (("downgrade", "base"), ("upgrade", "head")):
        subprocess.run(
            [sys.executable, "-m", "alembic", *direction],
            cwd=REPOSITORY,
            env=environment,
            check=True,
            capture_output=True,
        )
    assert not migrate(database_url, Settings()).changed


def test_every_revision_follows_the_one_before() -> None:
    names = sorted(path.name for path in (schema.scripts() / "versions").glob("*.py"))
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
