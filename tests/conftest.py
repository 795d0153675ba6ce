"""Fixtures that every test may use; async tests run under anyio on asyncio."""

import gc
import re
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from analytics.embedded import Postgres, Valkey, create_database
from analytics.settings import Settings
from analytics.stores import migrate
from tests import servers, timescale
from tests.examples import TIMES


def pytest_configure() -> None:
    """A shell that runs something in the background has it ignore Ctrl-C, and all that it starts;
    the tests of Ctrl-C mean one that is heard.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """The garbage collector need not look through thousands of collected tests again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A property's report says how many examples it held for."""
    report = yield
    if call.when == "call" and (statistics := getattr(item, "hypothesis_statistics", None)):
        report.user_properties.append(
            ("examples", sum(map(int, re.findall(r"(\d+) passing", statistics))))
        )
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last line, unless examples were left out: how many were tried."""
    counts = [
        int(str(value))
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "examples"
    ]
    if TIMES:
        terminalreporter.write_line(f"{sum(counts):,} examples of {len(counts)} properties")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _end_what_is_shared() -> Iterator[None]:
    yield
    servers.shared.close()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    with servers.temporary_folder("test") as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[Postgres]:
    with servers.postgres(server_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(server_folder: Path) -> Iterator[Valkey]:
    with servers.valkey(server_folder / "valkey") as server:
        yield server


@pytest.fixture
def own_valkey(server_folder: Path) -> Iterator[Valkey]:
    """A server that a test may stop, freeze and start again at the same port."""
    with (
        tempfile.TemporaryDirectory(dir=server_folder) as folder,
        servers.valkey(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def database_url(postgres_server: Postgres) -> Iterator[str]:
    """A new, empty PostgreSQL database (not migrated)."""
    with servers.database(postgres_server) as url:
        yield url


@pytest.fixture
async def redis_url(valkey_server: Valkey) -> str:
    """An empty Valkey keyspace."""
    from redis.asyncio import Redis

    client = Redis.from_url(valkey_server.url)
    await client.flushall()
    await client.aclose()
    return valkey_server.url


@pytest.fixture(scope="session")
def migrated_database(postgres_server: Postgres) -> str:
    """The name of a database on plain PostgreSQL with all tables and no rows, to be copied."""
    create_database(postgres_server, "migrated")
    migrate(postgres_server.url("migrated"), Settings())
    return "migrated"


@pytest.fixture
def migrated_url(postgres_server: Postgres, migrated_database: str) -> Iterator[str]:
    """A new database on plain PostgreSQL with all tables and no rows."""
    with servers.database(postgres_server, template=migrated_database) as url:
        yield url


@pytest.fixture(scope="session")
def timescale_server() -> Iterator[str]:
    """The URL of a migrated TimescaleDB; one connection at a time."""
    with timescale.server() as url:
        migrate(url, Settings())
        yield url


@pytest.fixture
async def timescale_url(timescale_server: str) -> str:
    """TimescaleDB with all tables and no rows."""
    await timescale.empty(timescale_server)
    return timescale_server


@pytest.fixture(params=["plain", "timescale"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A migrated database without rows: the test runs once on plain PostgreSQL and once on
    TimescaleDB.
    """
    url: str = request.getfixturevalue(
        {"plain": "migrated_url", "timescale": "timescale_url"}[request.param]
    )
    return url
