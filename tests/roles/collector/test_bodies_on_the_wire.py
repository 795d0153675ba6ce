"""Bodies as hypercorn hands them on: limits, chunks, senders who leave."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from analytics.projects import KeyCache
from analytics.roles.collector import body, collector, work
from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES
from analytics.roles.collector.intake import Intake
from analytics.settings import Settings
from tests.collecting import GOOD, MemorySalts, MemorySink, Table
from tests.serving import exchange, serving
from tests.waiting import until


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, MemorySink]]:
    sink = MemorySink()

    @asynccontextmanager
    async def intake(config: Settings) -> AsyncIterator[Intake]:
        yield Intake(sink, KeyCache(Table()), MemorySalts(), config)

    async with serving(collector.role(intake).app(Settings())) as port:
        yield port, sink


def chunked(body: bytes, size: int) -> list[bytes]:
    head = (
        b"POST /collect HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    return [
        head,
        *(
            b"%x\r\n%b\r\n" % (len(part), part)
            for part in (body[at : at + size] for at in range(0, len(body), size))
        ),
        b"0\r\n\r\n",
    ]


def counted(body: bytes) -> list[bytes]:
    return [
        b"POST /collect HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        % len(body),
        body,
    ]


@pytest.mark.parametrize("framing", ["counted", "chunked", "chunked finely"])
async def test_a_mebibyte_is_taken_and_one_byte_more_is_not(framing: str) -> None:
    frames: dict[str, Callable[[bytes], list[bytes]]]
    frames = {
        "counted": counted,
        "chunked": partial(chunked, size=100_000),
        "chunked finely": partial(chunked, size=100),
    }
    frame = frames[framing]
    async with listening() as (port, sink):
        most = json.dumps(GOOD).encode().ljust(MAX_COMPRESSED_BYTES)
        assert (await exchange(port, *frame(most))).startswith(b"HTTP/1.1 202 ")
        refusal = await exchange(port, *frame(most + b" "))
        assert refusal.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"too_large"' in refusal
        assert len(sink.events) == 1


async def test_who_sends_far_too_much_hears_the_refusal() -> None:
    async with listening() as (port, sink):
        for parts in (counted(b" " * 9_000_000), chunked(b" " * 9_000_000, 65_536)):
            assert (await exchange(port, *parts)).startswith(b"HTTP/1.1 413 ")
        assert sink.events == []


async def test_a_body_without_end_is_cut_off() -> None:
    async with listening() as (port, sink):
        sent = 0
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /collect HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 200 << 20:
                writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
                await writer.drain()
                sent += 65536
        writer.transport.abort()
        assert sent < 100 << 20
        assert sink.events == []


async def test_a_sender_who_leaves_in_the_middle_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, left = 0, 0
    read = body.read

    async def watched(receive: Receive, hold: Callable[[int], None]) -> bytes:
        nonlocal begun, left
        begun += 1
        try:
            return await read(receive, hold)
        except ClientDisconnect:
            left += 1
            raise

    monkeypatch.setattr(work, "read", watched)
    async with listening() as (port, sink):
        for number in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /collect HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
            await writer.drain()
            await until(lambda number=number: begun > number)  # type: ignore[misc]
            writer.transport.abort()
        await until(lambda: left == 3)
        assert (await exchange(port, *counted(json.dumps(GOOD).encode()))).startswith(
            b"HTTP/1.1 202 "
        )
        assert len(sink.events) == 1
    assert [
        record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
    ] == []
