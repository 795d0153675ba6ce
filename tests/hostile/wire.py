"""Bytes over a socket, as no HTTP client would send them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from analytics import served_app, server
from analytics.embedded import free_port
from analytics.roles import api, processor
from analytics.roles.collector import collector
from analytics.roles.realtime import realtime
from analytics.settings import Settings
from tests.waiting import PATIENCE_SECONDS

APPS = {
    "collector": collector.ROLE.app,
    "api": api.ROLE.app,
    "realtime": realtime.ROLE.app,
    "processor": processor.ROLE.app,
}


async def exchange(port: int, *parts: bytes, seconds: float = 30.0, end: bool = False) -> bytes:
    """Send bytes as they are and read until the other side closes. Raises TimeoutError.

    With `end`, close our side after the last byte.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                if end:
                    writer.write_eof()
            with contextlib.suppress(ConnectionError):
                while part := await reader.read(65_536):
                    answer += part
    finally:
        writer.close()
    return answer


@asynccontextmanager
async def listening(
    config: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, int]]:
    """Every role on its own port, served as `analytics run` does."""
    ports = {role: free_port() for role in APPS}
    listeners = {role: server.bind(role, config, port) for role, port in ports.items()}
    ready, stop = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def on_stop(first: Callable[[], object], _: object) -> Iterator[None]:
        task = asyncio.create_task(_when(stop, first))
        try:
            yield
        finally:
            task.cancel()

    monkeypatch.setattr(server, "_on_signal", on_stop)
    # for connections that are still open at the end
    monkeypatch.setattr(served_app, "DRAIN_SECONDS", 2)
    task = asyncio.create_task(
        server.serve(
            {role: app(config) for role, app in APPS.items()}, listeners, config, ready=ready.set
        )
    )
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
        yield ports
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def _when(event: asyncio.Event, act: Callable[[], object]) -> None:
    await event.wait()
    act()
