"""An api with a cache, and a store beside it."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from analytics.roles import api
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.queries.answers.cached import KEY, client


@pytest.fixture
def config(migrated_url: str, redis_url: str) -> Settings:
    return Settings(
        environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=(KEY,)
    )


@pytest.fixture
async def store(config: Settings) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(config)
    yield store
    await store.close()


@pytest.fixture
async def http(config: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    app = api.ROLE.app(config)
    async with app.router.lifespan_context(app), client(app) as http:
        yield http
