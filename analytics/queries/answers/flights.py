"""Flights: many who ask the same at once are one question to the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Flights:
    """What is being made, by name. Whoever leaves early leaves the others their answer."""

    def __init__(self) -> None:
        self._tasks: dict[bytes, asyncio.Task[Any]] = {}

    async def join(self, name: bytes, make: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """What `make` returns or raises, here or for whoever asked before and still waits; and
        whether it was another's.
        """
        task = self._tasks.get(name)
        joined = task is not None
        if task is None:
            task = self._tasks[name] = asyncio.ensure_future(make())
            task.add_done_callback(lambda done: self._landed(name, done))
        return await asyncio.shield(task), joined

    async def close(self) -> None:
        """End what is still being made."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, name: bytes, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone; then nobody else looks at it
