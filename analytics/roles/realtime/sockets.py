"""A reader on a WebSocket: its key, its subscriptions, until it leaves or must leave."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import NamedTuple

from starlette.websockets import WebSocket

from analytics import metrics
from analytics.errors import AnalyticsError, BadRequest, Unauthorized, Unavailable
from analytics.projects import ApiKey
from analytics.roles.http.credentials import token_of
from analytics.roles.http.errors import error_response
from analytics.roles.realtime.admission import Admission, first_of
from analytics.roles.realtime.messages import Message, encode, failure
from analytics.roles.realtime.outbox import Outbox, QueuedMessage
from analytics.roles.realtime.requests import (
    NOT_A_REQUEST,
    AuthRequest,
    SubscribeRequest,
    UnsubscribeRequest,
    decode,
    id_in,
    in_words,
)
from analytics.roles.realtime.subscriptions import Subscriptions

SEND_SECONDS = 5.0
CLOSE_SECONDS = 1.0
MAX_MESSAGE_BYTES = 64 * 1024

TOO_BIG = 1009
TRY_AGAIN = 1013
BAD_KEY = 4401


class Close(NamedTuple):
    """Why we end a connection."""

    code: int
    reason: str


class Gone(Exception):
    """The reader has left."""


async def endpoint(socket: WebSocket) -> None:
    """`/realtime`."""
    admission: Admission = socket.app.state.admission
    try:
        admission.open_to(socket.headers)
        token = token_of(socket.headers)
        if token and await admission.knows(token, socket.headers):
            with admission.place("websocket", token):
                await Connection(socket, admission, placed=True).run()
        else:
            await Connection(socket, admission, placed=False).run()
    except AnalyticsError as error:
        await socket.send_denial_response(error_response(error))


class Connection:
    """One WebSocket, from the handshake to the close."""

    def __init__(self, socket: WebSocket, admission: Admission, *, placed: bool) -> None:
        """`placed` says that it has its place; else it gets one when its key is known."""
        self._socket = socket
        self._placed = placed
        self._admission = admission
        self._outbox = Outbox()
        self._subscriptions = Subscriptions(admission.hub, self._outbox)

    async def run(self) -> None:
        """Returns when the connection is closed, by either side."""
        headers = self._socket.headers
        await self._socket.accept()
        with suppress(Gone):
            try:
                token = token_of(headers) or await self._first_key()
                key = await self._admission.identify(token, headers)
                with nullcontext() if self._placed else self._admission.place("websocket", token):
                    reason = await self._follow(token, key)
            except AnalyticsError as error:
                await self._write(failure(error))
                code = TRY_AGAIN if isinstance(error, Unavailable) else BAD_KEY
                reason = Close(code, error.message)
            await self._close(reason)

    async def _follow(self, token: str, key: ApiKey) -> Close:
        """Receive and send until the connection must end. Raises Gone."""
        try:
            return await first_of(self._receive(key), self._send(), self._lose(token))
        finally:
            self._subscriptions.clear()

    async def _first_key(self) -> str:
        """The key in the first message. Raises Unauthorized without one, or when none comes."""
        refusal = Unauthorized("the first message must be auth, with a key", code="no_key")
        try:
            async with self._admission.unknown():
                request = decode(await self._read())
        except TimeoutError as error:
            raise Unauthorized("no key came in time", code="no_key") from error
        except NOT_A_REQUEST as error:
            raise refusal from error
        if not isinstance(request, AuthRequest):
            raise refusal
        return request.key

    async def _receive(self, key: ApiKey) -> Close:
        """Do what the reader asks for, until it breaks a rule. Raises Gone."""
        while True:
            await self._outbox.room()
            text = await self._read()
            if size_bytes(text) > MAX_MESSAGE_BYTES:
                return Close(TOO_BIG, f"a message may have {MAX_MESSAGE_BYTES} bytes")
            try:
                await self._handle(text, key)
            except AnalyticsError as error:
                self._outbox.put(failure(error, id_in(text)))

    async def _handle(self, text: str | bytes, key: ApiKey) -> None:
        try:
            request = decode(text)
        except NOT_A_REQUEST as error:
            message = f"this message cannot be understood: {in_words(error)}"
            raise BadRequest(message, code="bad_message") from error
        if isinstance(request, SubscribeRequest):
            await self._subscriptions.add(request, key)
        elif isinstance(request, UnsubscribeRequest):
            self._subscriptions.remove(request.id)
        else:
            raise BadRequest("this connection has a key already", code="bad_message")

    async def _send(self) -> Close:
        """Send what the outbox holds, until the reader is too slow."""
        clock = asyncio.get_running_loop().time
        while True:
            entries = await self._outbox.take()
            try:
                async with asyncio.timeout(None) as limit:
                    for entry in entries:
                        if entry.message is not None:
                            limit.reschedule(clock() + SEND_SECONDS)
                            await self._write(entry.message)
            except TimeoutError:
                return Close(TRY_AGAIN, "too slow: what was sent was not read")
            count_sent(entries)
            await asyncio.sleep(0)

    async def _lose(self, token: str) -> Close:
        return Close(BAD_KEY, (await self._admission.lose(token)).message)

    async def _read(self) -> str | bytes:
        """The next message. Raises Gone."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text: str | bytes | None = message.get("text")
        return message["bytes"] if text is None else text

    async def _write(self, message: Message) -> None:
        await self._socket.send({"type": "websocket.send", "text": encode(message).decode()})

    async def _close(self, reason: Close) -> None:
        """Close and say why; a reader who does not read is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(*reason)


def size_bytes(text: str | bytes) -> int:
    """What a message took on the wire."""
    return len(text.encode(errors="surrogatepass") if isinstance(text, str) else text)


def count_sent(entries: Iterable[QueuedMessage]) -> None:
    """Count sent messages for the metrics."""
    for kind, number in Counter(entry.kind for entry in entries).items():
        metrics.realtime_sent.add({"type": kind}, number)
