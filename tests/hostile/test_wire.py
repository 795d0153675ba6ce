"""Bytes that no HTTP client would send, at every role's own server.

They are refused or answered, the connection ends in time, and other clients are still served.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator

import pytest
from hypercorn.config import Config

from analytics import served_app
from analytics.roles.collector import body
from analytics.settings import Settings
from tests.collecting import GOOD
from tests.hostile.wire import APPS, exchange, listening
from tests.waiting import PATIENCE_SECONDS, until

REFUSED_SECONDS = 20
"""Sooner than the 30 s after which any silent connection is closed."""

EVENT = json.dumps(GOOD).encode()
POST = b"POST /collect HTTP/1.1\r\nhost: x\r\n"
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.fixture
async def ports(
    migrated_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, int]]:
    config = Settings(
        environment="test",
        database_url=migrated_url,
        redis_url=redis_url,
        api_keys=("ak_r_static",),
        shutdown_delay=0,
    )
    async with listening(config, monkeypatch) as ports:
        yield ports


async def alive(port: int) -> bool:
    return (
        await exchange(port, b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    ).startswith(b"HTTP/1.1 200")


REFUSED: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00" + b"\x00" * 100,
    "no request line": b"\r\n\r\n\r\n\x00\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nhost: x\r\n: x\r\n\r\n",
    "a header with a NUL": b"GET / HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
    "a folded transfer-encoding": POST + b"transfer-encoding:\r\n chunked, gzip\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"content-length : 5\r\n\r\nhello",
    "two lengths": POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "a length that is none": POST + b"content-length: five\r\n\r\nhello",
    "a negative length": POST + b"content-length: -5\r\n\r\nhello",
    "a length with a sign": POST + b"content-length: +5\r\n\r\nhello",
    "a huge length": POST + b"content-length: " + b"9" * 4_000 + b"\r\n\r\n",
    "an unknown transfer-encoding": POST + b"transfer-encoding: gzip\r\n\r\n",
    "chunked twice": POST + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "no version": b"GET /health\r\n\r\n",
    "10,000 headers": b"GET /health HTTP/1.1\r\nhost: x\r\n"
    + b"".join(b"x-%d: y\r\n" % number for number in range(10_000))
    + b"\r\n",
    "a header of a megabyte": b"GET /health HTTP/1.1\r\nhost: x\r\nx: "
    + b"y" * 1_000_000
    + b"\r\n\r\n",
    "an address of a megabyte": b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "bytes in the address": b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("role", APPS)
async def test_what_is_no_request_is_refused_with_4xx_and_closed(
    ports: dict[str, int], role: str
) -> None:
    wrong = {}
    for name, sent in REFUSED.items():
        answer = await exchange(ports[role], sent, seconds=REFUSED_SECONDS)
        if answer and not answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501", b"HTTP/1.1 505")):
            wrong[name] = answer[:200]
    assert wrong == {}
    assert await alive(ports[role])


async def test_chunks_that_are_none_end_the_connection_and_no_event_is_taken(
    ports: dict[str, int],
) -> None:
    head = POST + b"transfer-encoding: chunked\r\n\r\n"
    for size in (b"-1", b"0x10", b"zz", b"f" * 40, b"5;" + b"x" * 100_000, b""):
        answer = await exchange(
            ports["collector"], head + size + b"\r\n" + EVENT + b"\r\n0\r\n\r\n", seconds=20
        )
        assert b" 202 " not in answer, (size, answer)
        assert b" 500 " not in answer, (size, answer)
    assert await alive(ports["collector"])


async def test_length_and_chunks_at_once_are_refused_and_what_follows_is_no_second_request(
    ports: dict[str, int],
) -> None:
    smuggled = (
        b"POST /collect HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(EVENT) + EVENT
    )
    for order in (
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ):
        answer = await exchange(
            ports["collector"], POST + order + b"\r\n0\r\n\r\n" + smuggled, seconds=20
        )
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"two_lengths" in answer
        assert answer.count(b"HTTP/1.1 ") == 1


async def test_pipelined_requests_are_answered_in_order_each_once(ports: dict[str, int]) -> None:
    one = POST + b"content-length: %d\r\n\r\n" % len(EVENT) + EVENT
    last = one.replace(b"host: x\r\n", b"host: x\r\nconnection: close\r\n")
    answer = await exchange(ports["collector"], one * 49 + last)
    assert answer.count(b"HTTP/1.1 202 ") == 50
    assert answer.count(b'{"accepted":1,"rejected":[]}') == 50


async def test_old_and_absolute_requests_are_answered_as_any(ports: dict[str, int]) -> None:
    for role, port in ports.items():
        old = await exchange(port, b"GET /health/live HTTP/1.0\r\n\r\n")
        assert old.startswith(b"HTTP/1.1 200 "), (role, old)
        absolute = await exchange(
            port,
            b"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\n"
            b"host: x\r\nconnection: close\r\n\r\n",
        )
        assert absolute.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), (role, absolute)
        assert b'"code"' in absolute


async def test_an_upgrade_changes_no_rule_and_a_broken_http2_ends_its_own_connection(
    ports: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """hypercorn speaks h2c itself: the same routes and keys apply. nginx never upgrades."""
    for role, port in ports.items():
        upgrade = (
            b"GET /api/trends HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\n"
            b"connection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"
        )
        for sent in (
            upgrade + H2[24:],
            upgrade + b"\xff" * 500,
            H2 + b"\xff" * 5_000,
            H2 + b"\x00\x00\x05\x01\x05\x00\x00\x00\x01\x84\x86\x41\x00\x00",
            upgrade.replace(b"AAMA", b"!!!!"),
        ):
            answer = await exchange(port, sent, end=True, seconds=REFUSED_SECONDS)
            assert b"series" not in answer, role
        assert await alive(port)


async def test_a_trickle_is_cut_off_and_the_others_are_served_meanwhile(
    migrated_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 sockets send a byte now and then, half in headers, half in bodies: first while others are
    served, under long limits, and then until they are cut off, under short ones.
    """
    assert served_app.READ_SECONDS == {"collector": 30}
    assert body.BODY_SECONDS == 30
    config = Settings(
        environment="test", database_url=migrated_url, redis_url=redis_url, shutdown_delay=0
    )
    real, configs = served_app._config, []

    def noted(role: str, settings: Settings) -> Config:
        configs.append(real(role, settings))
        assert configs[-1].keep_alive_timeout <= 30, "headers may take no longer"
        return configs[-1]

    def limit(seconds: float) -> None:
        monkeypatch.setattr(body, "BODY_SECONDS", seconds)
        for each in configs:
            each.keep_alive_timeout = seconds

    monkeypatch.setattr(served_app, "_config", noted)
    begun = 0
    async with listening(config, monkeypatch) as ports:

        async def trickle(head: bytes) -> bytes:
            nonlocal begun
            reader, writer = await asyncio.open_connection("127.0.0.1", ports["collector"])
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    writer.write(head)
                    await writer.drain()
                    begun += 1
                    reading = asyncio.create_task(reader.read())
                    while not reading.done():
                        writer.write(b"x")
                        await asyncio.wait([reading], timeout=0.4)
                    return reading.result() if reading.exception() is None else b"cut"
            finally:
                writer.close()

        def trickles() -> list[asyncio.Task[bytes]]:
            heads = (
                b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ",
                POST + b"content-length: 100000\r\n\r\n",
            )
            return [asyncio.create_task(trickle(head)) for head in heads for _ in range(100)]

        limit(600.0)
        slow = trickles()
        await until(lambda: begun == 200)
        good = POST + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(EVENT) + EVENT
        for _ in range(5):
            answer = await exchange(ports["collector"], good, seconds=10)
            assert answer.startswith(b"HTTP/1.1 202 ")
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)

        limit(1.0)
        ended = await asyncio.gather(*trickles())
    assert all(
        not answer or answer == b"cut" or answer.startswith(b"HTTP/1.1 408 ") for answer in ended
    )
    assert any(answer.startswith(b"HTTP/1.1 408 ") for answer in ended)


async def test_nothing_of_this_leaves_a_traceback(
    ports: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Else anybody could fill the log."""
    for sent in (
        *REFUSED.values(),
        POST + b"content-length: 10\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    ):
        await exchange(ports["collector"], sent, end=True, seconds=REFUSED_SECONDS)
    assert [
        record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR
    ] == []


async def test_an_http2_connection_without_a_whole_request_is_closed(
    migrated_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else comes on it: nothing, pings, or the beginning of a request's headers."""
    assert Config().keep_alive_timeout <= 30
    monkeypatch.setattr(Config, "keep_alive_timeout", 0.3)
    config = Settings(
        environment="test", database_url=migrated_url, redis_url=redis_url, shutdown_delay=0
    )
    ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)
    unfinished = b"\x00\x00\x01\x01\x01\x00\x00\x00\x01\x82"
    async with listening(config, monkeypatch) as ports:
        for port in ports.values():
            for sent in (H2, H2 + ping, H2 + unfinished):
                await exchange(port, sent, seconds=REFUSED_SECONDS)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(H2)
            async with asyncio.timeout(REFUSED_SECONDS):
                with contextlib.suppress(ConnectionError):
                    while not reader.at_eof():
                        writer.write(ping)
                        await reader.read(65_536)
            writer.close()
