"""A reader over a WebSocket: its key, then what it subscribes to, until it leaves or must."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

import msgspec
from starlette.websockets import WebSocket

from analytics import metrics
from analytics.errors import AnalyticsError, BadRequest, Unauthorized, Unavailable
from analytics.projects import Key
from analytics.roles.http.role import error_response, token_of
from analytics.roles.realtime.admission import Lobby, first_of
from analytics.roles.realtime.outbox import Message, Outbox
from analytics.roles.realtime.subscriptions import Subscriptions, Wanted, encode, failure

AUTH_SECONDS = 5.0
SEND_SECONDS = 5.0
CLOSE_SECONDS = 1.0
MAX_MESSAGE = 64 * 1024

TOO_BIG = 1009
TRY_AGAIN = 1013
BAD_KEY = 4401


class Auth(msgspec.Struct, frozen=True, tag="auth", tag_field="type", forbid_unknown_fields=True):
    key: str


class Unwanted(
    msgspec.Struct, frozen=True, tag="unsubscribe", tag_field="type", forbid_unknown_fields=True
):
    id: str


class _Named(msgspec.Struct, frozen=True):
    id: str | None = None


_requests = msgspec.json.Decoder(Auth | Wanted | Unwanted)
_named = msgspec.json.Decoder(_Named)


class Close(NamedTuple):
    """Why we end a connection."""

    code: int
    reason: str


class Gone(Exception):
    """The reader has left."""


def framed(message: Message) -> str:
    """A message as one JSON object."""
    id_ = "" if message.id is None else f',"id":{encode(message.id)}'
    fields = f",{message.fields}" if message.fields else ""
    return f'{{"type":"{message.kind}"{id_}{fields}}}'


async def endpoint(socket: WebSocket) -> None:
    """`/realtime`."""
    lobby: Lobby = socket.app.state.lobby
    try:
        with lobby.enter("websocket", socket.headers):
            await lobby.refuse_page(socket.headers)
            await Connection(socket, lobby).run()
    except AnalyticsError as error:
        await socket.send_denial_response(error_response(error))


class Connection:
    """One WebSocket, from the handshake to the close."""

    def __init__(self, socket: WebSocket, lobby: Lobby) -> None:
        self._socket = socket
        self._lobby = lobby
        self._outbox = Outbox()
        self._subscriptions = Subscriptions(lobby.hub, self._outbox)

    async def run(self) -> None:
        headers = self._socket.headers
        await self._socket.accept()
        with suppress(Gone):
            try:
                token = token_of(headers) or await self._asked()
                key = await self._lobby.identify(token, headers)
            except AnalyticsError as error:
                await self._socket.send_text(framed(failure(error)))
                return await self._close(
                    Close(TRY_AGAIN if isinstance(error, Unavailable) else BAD_KEY, error.message)
                )
            try:
                reason = await first_of(self._receive(key), self._send(), self._lose(token))
            finally:
                self._subscriptions.clear()
            return await self._close(reason)

    async def _asked(self) -> str:
        """The key in the first message. Raises Unauthorized when that is another one, or does not
        come in time.
        """
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                request = _requests.decode(await self._text())
        except TimeoutError as error:
            raise Unauthorized(f"no key came within {AUTH_SECONDS:g} s", code="no_key") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unauthorized(
                "the first message must be auth, with a key", code="no_key"
            ) from error
        if not isinstance(request, Auth):
            raise Unauthorized("the first message must be auth, with a key", code="no_key")
        return request.key

    async def _text(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text: str | bytes | None = message.get("text")
        return message["bytes"] if text is None else text

    async def _receive(self, key: Key) -> Close:
        while True:
            await self._outbox.room()
            text = await self._text()
            if len(text) > MAX_MESSAGE:
                return Close(TOO_BIG, f"a message may have {MAX_MESSAGE} bytes")
            try:
                await self._obey(text, key)
            except AnalyticsError as error:
                self._outbox.put(failure(error, _id_in(text)))

    async def _obey(self, text: str | bytes, key: Key) -> None:
        try:
            request = _requests.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(
                f"this message cannot be understood: {error}", code="bad_message"
            ) from error
        if isinstance(request, Wanted):
            await self._subscriptions.add(request, key)
        elif isinstance(request, Unwanted):
            self._subscriptions.remove(request.id)
        else:
            raise BadRequest("this connection has a key already", code="bad_message")

    async def _send(self) -> Close:
        clock = asyncio.get_running_loop().time
        while True:
            messages = await self._outbox.take()
            try:
                async with asyncio.timeout(None) as limit:
                    for message in messages:
                        limit.reschedule(clock() + SEND_SECONDS)
                        await self._socket.send({"type": "websocket.send", "text": framed(message)})
            except TimeoutError:
                return Close(TRY_AGAIN, "too slow: what was sent was not read")
            count(messages)
            await asyncio.sleep(0)

    async def _lose(self, token: str) -> Close:
        return Close(BAD_KEY, (await self._lobby.lose(token)).message)

    async def _close(self, reason: Close) -> None:
        """Say why; a reader who does not read cannot be told, and is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(*reason)


def count(messages: list[Message]) -> None:
    """Sent messages, for the metrics."""
    for kind, number in Counter(message.kind or "heartbeat" for message in messages).items():
        metrics.realtime_sent.add({"type": kind}, number)


def _id_in(text: str | bytes) -> str | None:
    """Which subscription a message speaks of, if that can be told."""
    try:
        return _named.decode(text).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
