"""Large bodies take turns; small ones, however they are compressed, wait for nothing."""

import asyncio
import gzip

import pytest

from analytics.errors import BadRequest
from analytics.roles.collector.body import THREAD_BYTES
from analytics.roles.collector.turns import LARGE_AT_ONCE, Turns
from tests.waiting import until


async def test_so_many_large_bodies_are_open_at_once_and_small_ones_besides() -> None:
    turns = Turns()
    large = b"x" * (THREAD_BYTES + 1)
    most = waiting = 0
    leave = asyncio.Event()

    async def hold(body: bytes, encoding: bytes) -> None:
        nonlocal waiting, most
        async with turns.inflated(body, encoding) as text:
            assert text == large
            waiting += 1
            most = max(most, waiting)
            await leave.wait()
            waiting -= 1

    holders = [
        asyncio.create_task(hold(*sent))
        for sent in ((large, b""), (gzip.compress(large), b"gzip"), (gzip.compress(large), b"")) * 3
    ]
    await until(lambda: waiting >= LARGE_AT_ONCE)
    for small in (b"[]", b"x" * THREAD_BYTES):
        async with turns.inflated(gzip.compress(small), b"gzip") as text:
            assert text == small
    leave.set()
    await asyncio.gather(*holders)
    assert most == LARGE_AT_ONCE


async def test_a_large_body_that_cannot_be_inflated_gives_its_turn_back() -> None:
    turns = Turns()
    cut = gzip.compress(b"x" * 9 * THREAD_BYTES)[:-4]
    for _ in range(LARGE_AT_ONCE + 1):
        with pytest.raises(BadRequest, match="cut short"):
            async with turns.inflated(cut, b"gzip"):
                raise AssertionError
