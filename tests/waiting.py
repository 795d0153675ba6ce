"""Waiting for what a test needs: polled, and given up only after a time that no machine needs."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 90.0
"""How long a test waits for what must come."""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Poll until `condition` is true and return its value; AssertionError naming `what` when it
    never is.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.03)
    return value


async def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Let others go on until `condition`, which may be a coroutine, is true."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if await value if inspect.isawaitable(value) else value:
                return
            await asyncio.sleep(0.01)
