"""A request's body: read to its end within a time and a size, and inflated."""

import asyncio
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from analytics.errors import SlowBody, TooLarge
from analytics.roles.collector.inflate import MAX_COMPRESSED, inflate

P = ParamSpec("P")
T = TypeVar("T")

THREAD_BYTES = 256 << 10
"""A body this large is read beside the event loop, so that others need not wait for it."""

BODY_SECONDS = 30.0
"""How long a body may take from its first byte to its last; the server bounds only the silence
between two of its parts.
"""

DISCARDED_BYTES = 16 << 20
"""How much of a body that is too large is read all the same: a sender who is cut off while sending
never hears the refusal.
"""


async def read(receive: Receive) -> bytes:
    """A request's body. Raises SlowBody, TooLarge beyond MAX_COMPRESSED, ClientDisconnect when its
    sender has left.
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
        if size <= MAX_COMPRESSED:
            parts.append(part)
        more = message.get("more_body", False)
    if size > MAX_COMPRESSED:
        raise TooLarge(f"a body may have {MAX_COMPRESSED} bytes")
    return b"".join(parts)


async def inflated(body: bytes, headers: Mapping[bytes, bytes]) -> bytes:
    """A body as its sender meant it; raises what `inflate` raises."""
    encoding = headers.get(b"content-encoding", b"")
    return await beside(len(body) * 16 if encoding else 0, inflate, body, encoding)


async def beside(size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, beside the event loop when what it works on is large."""
    return (
        await asyncio.to_thread(function, *args, **kwargs)
        if size > THREAD_BYTES
        else function(*args, **kwargs)
    )
