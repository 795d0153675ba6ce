"""A store on each layout, and events to put into it."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from analytics.events import Event, Job
from analytics.settings import Settings
from analytics.stores import PostgresStore

NOW = datetime.now(UTC).replace(microsecond=123456)
"""When the run began, which may be an hour before a test compares it with a server's clock."""


def an_event(**changes: Any) -> Event:
    """An event that a client named, unless changed."""
    event = Event(
        "default",
        uuid.uuid4(),
        "s1",
        "u1",
        "engagement",
        "click",
        b'{"page": "/pricing"}',
        NOW,
        NOW,
        named=True,
    )
    return msgspec.structs.replace(event, **changes)


def a_job(*events: Event, **changes: Any) -> Job:
    return msgspec.structs.replace(Job(f"{uuid.uuid4().hex}.{len(events)}", events), **changes)


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


async def ask(store: PostgresStore, query: str, *values: object) -> Any:
    """The first column of the first row.

    It is read over the store's own connection: TimescaleDB's test server accepts only one.
    """
    return await store._pool.fetchval(query, *values)


async def rows(store: PostgresStore) -> int:
    """The number of raw rows. Asserts that the daily counts agree, in total and by type."""
    n: int = await ask(store, "SELECT count(*) FROM raw_events")
    counted = """
        SELECT coalesce(
            array_agg((project, date, key, value, n) ORDER BY project, date, key, value), '{}'
        )::text FROM (
            SELECT project, (timestamp AT TIME ZONE 'UTC')::date AS date, key, value, count(*) AS n
            FROM raw_events,
                LATERAL (VALUES ('', ''), ('event_type', event_type)) AS dimension (key, value)
            GROUP BY 1, 2, 3, 4
        ) AS counted
    """
    kept = """
        SELECT coalesce(array_agg(
            (project, date, dimension_key, dimension_value, value)
            ORDER BY project, date, dimension_key, dimension_value
        ), '{}')::text
        FROM daily_metrics WHERE metric_name = 'events'
    """
    assert await ask(store, kept) == await ask(store, counted)
    return n


@contextlib.asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[PostgresStore]:
    """A store, closed at the end."""
    store = await PostgresStore.open(Settings(database_url=url, **settings))
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection beside the store's."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[PostgresStore]:
    """An empty store, once on plain PostgreSQL and once on TimescaleDB."""
    async with opened(store_url) as store:
        yield store


@pytest.fixture
async def plain_store(migrated_url: str) -> AsyncIterator[PostgresStore]:
    """An empty store on plain PostgreSQL."""
    async with opened(migrated_url) as store:
        yield store
