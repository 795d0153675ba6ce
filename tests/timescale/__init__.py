"""A real TimescaleDB for the tests: TEST_TIMESCALE_URL's, or one compiled to WebAssembly that Node
serves.
"""

import asyncio
import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from analytics.tables import metadata
from tests import node

HERE = Path(__file__).parent


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database with TimescaleDB that takes one connection at a time and has no
    background workers.
    """
    if url := os.environ.get("TEST_TIMESCALE_URL"):
        yield url
        return
    if not (HERE / "node_modules").exists():
        subprocess.run([node.npm(), "ci", "--silent"], cwd=HERE, env=node.ENVIRONMENT, check=True)
    process = subprocess.Popen(
        [node.node(), "server.mjs"], cwd=HERE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "TimescaleDB did not start"
        yield f"postgresql://postgres:test@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def unmigrated() -> Iterator[str]:
    """The URL of a database with TimescaleDB and no tables, which no other test uses."""
    url = os.environ.get("TEST_TIMESCALE_URL")
    if not url:
        with server() as own:
            yield own
        return
    name = f"t_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(url, f"CREATE DATABASE {name}"))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(_execute(url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def empty(url: str) -> None:
    """All tables as the migration left them."""
    connection = await asyncpg.connect(url)
    try:
        names = ", ".join(
            table.name
            for table in metadata.sorted_tables
            if table.name not in ("ledger_turn", "rollup_since", "people_pruning")
        )
        await connection.execute(
            f"TRUNCATE {names} RESTART IDENTITY;"
            "UPDATE ledger_turn SET slot = 0, since = now();"
            "DELETE FROM rollup_since WHERE project <> '';"
            "UPDATE rollup_since SET start = -1000000000;"
            "UPDATE people_pruning SET epoch = epoch + 1, day = now()::date"
        )
    finally:
        await connection.close()
