"""The compactor goes on after any failure of a compaction."""

import asyncio

import pytest

from analytics.errors import TransientStoreError
from analytics.stores.upkeep import compactor
from analytics.stores.upkeep.compactor import Compactor


@pytest.mark.parametrize(
    "error", [TransientStoreError("the database is away"), ValueError("a mistake of ours")]
)
async def test_a_compaction_that_fails_is_followed_by_another(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("SHORTEST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS"):
        monkeypatch.setattr(compactor, pause, 0.001)
    tries = asyncio.Semaphore(0)

    async def compact() -> int:
        tries.release()
        raise error

    running = asyncio.create_task(Compactor(compact).run())
    async with asyncio.timeout(10):
        for _ in range(3):
            await tries.acquire()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
