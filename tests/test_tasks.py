"""Tasks end, even those that lose a cancellation."""

import asyncio

import pytest

from analytics import tasks


async def test_a_task_that_loses_its_first_cancellation_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "REPEAT_SECONDS", 0.001)
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    running = [asyncio.create_task(deaf()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await tasks.end(running)
    assert all(task.done() for task in running)
    assert lost == 3


async def test_nothing_to_end_is_no_error() -> None:
    await tasks.end([])
