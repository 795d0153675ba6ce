"""Reads a request's body within limits of time and size, and says how much work it is."""

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from analytics.errors import SlowBody, TooLarge, Unavailable
from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES

THREAD_BYTES = 256 << 10
"""A larger body is processed in a thread, so that other requests need not wait for it."""

VALUE_BYTES = 16
"""A value in a body is as much work as so many bytes, however small it is."""

FIELD_BYTES = 64
"""The same of a field of a form, or of an address in JSON, as Matomo sends its actions."""

CODED_BYTES = 16
"""A byte of a form, or of base64, may hide as much work as so many bytes of JSON."""

EMBEDDED_BYTES = 6
"""The same of a byte of base64 in JSON: three of them may hold a value."""

EVENT_BYTES = 64
"""The same of an event."""

BODY_SECONDS = 30.0
"""From the first byte of a body to its last; the server bounds only the pauses in between."""

DISCARDED_BYTES = 16 << 20
"""How much of a body is read even if it is too large.

A sender whose connection is cut while it sends would never see the 413.
"""

_BLANKS = 64
"""Blanks that are looked for before JSON."""


def _unbounded(size: int) -> None:
    """There is room for so many bytes."""


async def read(receive: Receive, hold: Callable[[int], None] = _unbounded) -> bytes:
    """A request's body, still compressed. `hold` is called before so many bytes of it are kept.

    Raises SlowBody, TooLarge beyond MAX_COMPRESSED_BYTES, the Unavailable of `hold`, and
    ClientDisconnect if the sender left. What is refused is read to its end all the same.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _parts(receive, hold)
    except TimeoutError as error:
        raise SlowBody(f"the body did not arrive within {BODY_SECONDS:g} s") from error


async def _parts(receive: Receive, hold: Callable[[int], None]) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    refusal: Unavailable | None = None
    while more and size <= DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if part and size <= MAX_COMPRESSED_BYTES and refusal is None:
            try:
                hold(len(part))
                parts.append(part)
            except Unavailable as error:
                refusal = error
                parts.clear()
        more = message.get("more_body", False)
    if size > MAX_COMPRESSED_BYTES:
        raise TooLarge(f"a body may have {MAX_COMPRESSED_BYTES} bytes")
    if refusal is not None:
        raise refusal
    return b"".join(parts)


def work_of(body: bytes) -> int:
    """How much work a body is, in bytes: many small values are more than a few large ones."""
    if body[:_BLANKS].lstrip()[:1] in (b"{", b"["):
        size = len(body) + VALUE_BYTES * body.count(b",")
        # fields are counted only where they matter: it takes as long as counting values does
        return size if size < THREAD_BYTES // 4 else size + FIELD_BYTES * body.count(b"&")
    return CODED_BYTES * len(body)
