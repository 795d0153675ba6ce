"""Bodies: how long one may take, and how large one may be."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from analytics.errors import TooLarge, Unavailable
from analytics.roles.collector import body
from tests.collecting import Client, error_of, running


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running() as started:
        yield started


async def test_a_body_that_comes_drop_by_drop_is_cut_off_though_it_never_stops(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.2)

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.02)

    assert error_of(await client.post("/collect", content=drops())) == (408, "slow_body")


def receiver(*parts: bytes | None) -> Receive:
    """What a server hands on: parts of a body; None when the sender has left."""
    left = list(parts)

    async def receive() -> Message:
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


async def test_a_body_may_be_as_large_as_its_limit_in_any_number_of_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body, "MAX_COMPRESSED_BYTES", 4)
    assert await body.read(receiver(b"ab", b"", b"cd")) == b"abcd"
    assert await body.read(receiver(b"")) == b""
    with pytest.raises(TooLarge, match="4 bytes"):
        await body.read(receiver(b"ab", b"cd", b"e"))


async def test_a_body_too_large_is_read_on_so_that_the_sender_hears_of_it_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body, "MAX_COMPRESSED_BYTES", 4)
    monkeypatch.setattr(body, "DISCARDED_BYTES", 20)
    for parts, left in ((4, 0), (10, 5)):
        sent = [b"12345"] * parts

        async def receive(sent: list[bytes] = sent) -> Message:
            return {"type": "http.request", "body": sent.pop(), "more_body": bool(sent)}

        with pytest.raises(TooLarge):
            await body.read(receive)
        assert len(sent) == left


async def test_a_sender_who_leaves_has_sent_no_body() -> None:
    with pytest.raises(ClientDisconnect):
        await body.read(receiver(b"ab", None))


async def test_what_finds_no_room_is_read_to_its_end_and_not_kept() -> None:
    held: list[int] = []

    def hold(size: int) -> None:
        if len(held) == 2:
            raise Unavailable("no room")
        held.append(size)

    sent = [b"12345"] * 6

    async def receive() -> Message:
        return {"type": "http.request", "body": sent.pop(), "more_body": bool(sent)}

    with pytest.raises(Unavailable):
        await body.read(receive, hold)
    assert (held, sent) == ([5, 5], [])


async def test_the_empty_part_that_ends_a_body_needs_no_room() -> None:
    held: list[int] = []
    assert await body.read(receiver(b"ab", b"", b""), held.append) == b"ab"
    assert held == [2]


def test_a_form_or_base64_may_hide_as_many_values_as_fit() -> None:
    hidden = base64.b64encode(b"[" + b"{}," * 20_000 + b"{}]")
    assert body.work_of(b"data=" + hidden) > body.THREAD_BYTES
    assert body.work_of(b'{"requests":[' + b'"?idsite=1&rec=1",' * 4_000 + b'""]}') > (
        body.THREAD_BYTES
    )
    assert body.work_of(b"data=" + b"x" * 10_000) < body.THREAD_BYTES
    assert body.work_of(b" \n[{}]") == 6


def test_many_small_values_are_as_much_work_as_a_large_body() -> None:
    assert body.work_of(b"[" + b"{}," * 20_000 + b"{}]") > body.THREAD_BYTES
    assert body.work_of(b'{"text":"%b"}' % (b"x" * 100_000)) < body.THREAD_BYTES
