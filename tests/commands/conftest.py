"""A fixture of the tests of commands: `analytics` on real servers."""

from pathlib import Path

import pytest
from redis import Redis

from analytics.embedded import Valkey
from tests.commands.shell import Run, command


@pytest.fixture
def analytics(migrated_url: str, valkey_server: Valkey, tmp_path: Path) -> Run:
    with Redis.from_url(valkey_server.url) as redis:
        redis.flushall()
    return command(
        {"DATABASE_URL": migrated_url, "REDIS_URL": valkey_server.url, "DATA_DIR": str(tmp_path)}
    )
