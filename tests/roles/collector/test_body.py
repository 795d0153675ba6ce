"""Bodies: how long one may take, and how large one may be."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from analytics.roles.collector import body
from tests.collecting import Client, error_of, running


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running() as started:
        yield started


async def test_a_body_that_comes_drop_by_drop_is_cut_off_though_it_never_stops(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.2)

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.02)

    assert error_of(await client.post("/collect", content=drops())) == (408, "slow_body")
