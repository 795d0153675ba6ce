"""A streamed response ends where nobody takes it, or where its chunks end in an error of ours."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from analytics.errors import Unauthorized
from analytics.roles.http import paced
from analytics.roles.http.paced import PIECE_BYTES, PacedResponse
from tests.waiting import PATIENCE_SECONDS

SCOPE = {"type": "http", "asgi": {"spec_version": "2.4"}}


async def receive() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def test_large_chunks_are_sent_in_pieces_and_arrive_whole() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    large = bytes(range(256)) * (PIECE_BYTES // 100)

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b""
        yield large
        yield b"end"

    await PacedResponse(chunks(), {"x-a": "b"}, "text/csv")(SCOPE, receive, send)
    assert sent[0]["status"] == 200
    assert b"".join(message["body"] for message in sent[1:]) == large + b"end"
    assert max(len(message["body"]) for message in sent[1:]) == PIECE_BYTES
    assert [message["more_body"] for message in sent[1:]] == [True] * (len(sent) - 2) + [False]


async def test_who_takes_nothing_is_cut_off_and_the_chunks_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paced, "STALLED_SECONDS", 0.01)
    sent: list[Message] = []
    closed = False

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 3:
            await asyncio.Event().wait()

    async def chunks() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            while True:
                yield b"x"
        finally:
            closed = True

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ClientDisconnect):
            await PacedResponse(chunks(), {}, "text/csv")(SCOPE, receive, send)
    assert closed
    assert len(sent) == 3
    assert all(message["more_body"] for message in sent[1:])


async def test_an_error_of_ours_cuts_it_off_without_the_end_that_makes_it_whole() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"x"
        raise Unauthorized("this key has been revoked")

    with pytest.raises(ClientDisconnect):
        await PacedResponse(chunks(), {}, "text/csv")(SCOPE, receive, send)
    assert [message.get("more_body") for message in sent] == [None, True]
