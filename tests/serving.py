"""An app behind the web server that the platform uses, on the loop of the test."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from analytics.embedded import free_port
from tests.waiting import until


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """The port on which it is served. `Any`, because hypercorn has types of its own for scopes."""
    config = Config()
    port = free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    stop = asyncio.Event()
    server = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        await until(partial(_listens, port))
        yield port
    finally:
        stop.set()
        await server


async def exchange(port: int, *parts: bytes) -> bytes:
    """Send bytes as they are, and read the answer to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
