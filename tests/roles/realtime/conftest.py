"""A fixture of realtime's tests: the role as it runs, for readers."""

from collections.abc import AsyncIterator

import pytest

from tests.roles.realtime.platform import Platform, serving


@pytest.fixture
async def platform(redis_url: str) -> AsyncIterator[Platform]:
    async with serving(redis_url) as platform:
        yield platform
