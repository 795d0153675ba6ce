"""Every supported major version of PostgreSQL that this machine has, as Debian installs them."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from analytics.commands.postgres_server import VERSIONS
from analytics.embedded import Postgres
from analytics.events import Outcome
from analytics.settings import Settings
from analytics.stores import migrate
from analytics.stores.schema import head
from tests import servers
from tests.stores.conftest import a_job, ago, an_event, ask, opened, rows

INSTALLED = sorted(
    program.parent
    for program in Path("/usr/lib/postgresql").glob("*/bin/postgres")
    if int(program.parts[-3]) in VERSIONS
)


@pytest.fixture(scope="module", params=INSTALLED, ids=lambda programs: programs.parent.name)
def older(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[Postgres]:
    programs: Path = request.param
    with servers.postgres(
        server_folder / f"postgres-{programs.parent.name}", str(programs)
    ) as server:
        yield server


async def test_an_older_postgresql_stores_once_maintains_and_forgets(older: Postgres) -> None:
    with servers.database(older) as url:
        assert migrate(url, Settings()).after == head()
        async with opened(url) as store:
            event, old = an_event(), an_event(timestamp=ago(days=80))
            assert (
                await store.write([a_job(event, old, an_event(metadata=b'{"a":"\\u0000"}'))])
            ).outcomes == [Outcome(stored=2, dead_lettered=1)]
            retry = msgspec.structs.replace(event, timestamp=ago(minutes=3))
            assert (await store.write([a_job(retry, old, an_event())])).outcomes == [
                Outcome(stored=1, duplicate=2)
            ]
            while await store.compact():
                pass
            assert (
                await ask(
                    store,
                    "SELECT sum(value) FROM daily_metrics"
                    " WHERE metric_name = 'events' AND dimension_key = ''",
                )
                == 3
            )
            await store.maintain()
            assert await rows(store) == 3
        async with opened(url, retention_days=30) as store:
            await store.maintain()
            assert await ask(store, "SELECT count(*) FROM raw_events") == 2
