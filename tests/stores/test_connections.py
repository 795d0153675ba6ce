"""Connections: every wait ends well before a job's time is over, but those of patient ones."""

import asyncpg
import pytest

from analytics.settings import Settings
from analytics.stores.connections import (
    ACQUIRE,
    COMMAND,
    LOCK,
    STATEMENT,
    TRANSACTION,
    connect,
    options,
)
from tests.stores.conftest import opened

LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


async def limits(connection: asyncpg.Connection) -> list[str]:
    return [await connection.fetchval("SELECT current_setting($1)", name) for name in LIMITS]


def test_each_wait_ends_before_the_one_around_it() -> None:
    assert 0 < ACQUIRE < LOCK < STATEMENT < COMMAND < TRANSACTION < 1
    opened_with = options(Settings(job_timeout=30))
    assert (opened_with["timeout"], opened_with["command_timeout"]) == (5, 20)


@pytest.mark.parametrize(
    ("patient", "expected"), [(False, ["10s", "15s", "30s"]), (True, ["0", "0", "0"])]
)
async def test_a_patient_connection_has_no_limits_and_any_other_has(
    migrated_url: str, patient: bool, expected: list[str]
) -> None:
    settings = Settings(job_timeout=30)
    async with connect(migrated_url, settings, patient=patient) as connection:
        assert await limits(connection) == expected
        assert await connection.fetchval("SHOW timezone") == "UTC"
    assert connection.is_closed()


async def test_json_of_a_pool_is_bytes_and_its_sessions_prefer_indexes(migrated_url: str) -> None:
    async with opened(migrated_url) as store, store._pool.acquire() as connection:
        sent = '{"é": 1}'.encode()
        assert await connection.fetchval("SELECT $1::jsonb", sent) == sent
        assert await connection.fetchval("SHOW enable_seqscan") == "off"
    async with connect(migrated_url, Settings()) as connection:
        assert await connection.fetchval("SHOW enable_seqscan") == "on"
