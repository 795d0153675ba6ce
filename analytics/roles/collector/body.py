"""Reads a request's body within limits of time and size, and works on it in a thread."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from analytics.errors import SlowBody, TooLarge
from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES

P = ParamSpec("P")
T = TypeVar("T")

THREAD_BYTES = 256 << 10
"""A larger body is processed in a thread, so that other requests need not wait for it."""

VALUE_BYTES = 16
"""A value in a body is as much work as so many bytes, however small it is."""

EVENT_BYTES = 64
"""The same of an event."""

BODY_SECONDS = 30.0
"""From the first byte of a body to its last; the server bounds only the pauses in between."""

DISCARDED_BYTES = 16 << 20
"""How much of a body is read even if it is too large.

A sender whose connection is cut while it sends would never see the 413.
"""


async def read(receive: Receive) -> bytes:
    """A request's body, still compressed.

    Raises SlowBody, TooLarge beyond MAX_COMPRESSED_BYTES, and ClientDisconnect if the sender left.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _parts(receive)
    except TimeoutError as error:
        raise SlowBody(f"the body did not arrive within {BODY_SECONDS:g} s") from error


async def _parts(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_COMPRESSED_BYTES:
            parts.append(part)
        more = message.get("more_body", False)
    if size > MAX_COMPRESSED_BYTES:
        raise TooLarge(f"a body may have {MAX_COMPRESSED_BYTES} bytes")
    return b"".join(parts)


def work_of(body: bytes) -> int:
    """How much work a body is, in bytes: many small values are more than a few large ones."""
    return len(body) + VALUE_BYTES * body.count(b",")


async def beside(size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that works on `size` bytes; in a thread if that is much."""
    return (
        await asyncio.to_thread(function, *args, **kwargs)
        if size > THREAD_BYTES
        else function(*args, **kwargs)
    )
