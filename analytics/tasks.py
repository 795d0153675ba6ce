"""Cancel tasks reliably."""

import asyncio
from collections.abc import Iterable
from typing import Any

REPEAT_SECONDS = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again and again, until they have ended. Their exceptions are ignored.

    Once is not enough: a library may take a cancellation that meets a time-out for that time-out,
    and the cancellation is lost.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=REPEAT_SECONDS)
