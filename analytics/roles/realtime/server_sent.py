"""A reader over server-sent events: the streams of the WebSocket, one subscription a request, for
who has only HTTP.
"""

import asyncio
import random
from contextlib import suppress
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from analytics.errors import BadRequest
from analytics.roles.http.role import needed_token
from analytics.roles.realtime.admission import Lobby, first_of
from analytics.roles.realtime.outbox import Message, Outbox
from analytics.roles.realtime.sockets import CLOSE_SECONDS, SEND_SECONDS, count
from analytics.roles.realtime.subscriptions import Subscriptions, Wanted, failure

HEARTBEAT_SECONDS = 15.0
RETRY_MS = (2_000, 6_000)
STREAM = "stream"
PARAMETERS = ("channel", "project", "event", "where")
HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


def framed(message: Message) -> str:
    """A message as one event of the stream: its type, the JSON object of the WebSocket without
    `id`, and where the project stood.
    """
    id_ = "" if message.position is None else f"id: {message.position}\n"
    if not message.kind:
        return f":\n{id_}\n"
    fields = f",{message.fields}" if message.fields else ""
    return f'{id_}event: {message.kind}\ndata: {{"type":"{message.kind}"{fields}}}\n\n'


def wanted(query: bytes) -> Wanted:
    """The subscription that a query string asks for. Raises BadRequest that names the parameter at
    fault.
    """
    values: dict[str, object] = {}
    where: list[str] = []
    try:
        pairs = parse_qsl(
            query.decode(), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise BadRequest("the query string cannot be understood", code="bad_parameter") from error
    for name, value in pairs:
        if name not in PARAMETERS:
            raise BadRequest(
                f"there is no parameter {name[:100]!r} here; there are {', '.join(PARAMETERS)}",
                code="unknown_parameter",
                field=name[:100],
            )
        if name == "where":
            where.append(value)
        elif name in values:
            raise BadRequest(f"{name} is given twice", code="repeated_parameter", field=name)
        else:
            values[name] = value
    try:
        return msgspec.convert(
            {"type": "subscribe", "id": STREAM, "channel": "events", **values, "where": where},
            Wanted,
        )
    except msgspec.ValidationError as error:
        field = next((name for name in PARAMETERS if f"$.{name}" in str(error)), None)
        raise BadRequest(str(error), code="bad_parameter", field=field) from error


class EventStreams:
    """`/realtime/events` as an ASGI app, which sends its answer bit by bit. Raises what becomes an
    error's answer, until the stream begins.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        lobby: Lobby = scope["app"].state.lobby
        with lobby.enter("sse", headers):
            token = needed_token(headers)
            key = await lobby.identify(token, headers)
            outbox = Outbox()
            subscriptions = Subscriptions(lobby.hub, outbox)
            try:
                position = await subscriptions.add(wanted(scope["query_string"]), key)
                last = _number(headers.get("last-event-id", ""))
                if last is not None and last < position:
                    outbox.miss(STREAM, position - last, position)
                await Stream(lobby, outbox, token, receive, send).run()
            finally:
                subscriptions.clear()


class Stream:
    """One stream, from its first line to its last."""

    def __init__(
        self, lobby: Lobby, outbox: Outbox, token: str, receive: Receive, send: Send
    ) -> None:
        self._lobby = lobby
        self._outbox = outbox
        self._token = token
        self._receive = receive
        self._send = send

    async def run(self) -> None:
        """Returns when the reader has left, is too slow, has lost its key, or this role is about to
        stop.
        """
        await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await self._write(f"retry: {random.randint(*RETRY_MS)}\n\n")  # noqa: S311 - so that not all come back at once
        with suppress(TimeoutError):
            await first_of(
                self._messages(),
                self._heartbeat(),
                self._left(),
                self._lose(),
                self._lobby.closing(),
            )
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send({"type": "http.response.body"})

    async def _messages(self) -> None:
        """Raises TimeoutError for a reader too slow."""
        while True:
            messages = await self._outbox.take()
            async with asyncio.timeout(SEND_SECONDS):
                await self._write("".join(map(framed, messages)))
            count(messages)
            await asyncio.sleep(0)

    async def _heartbeat(self) -> None:
        """Keeps what lies between us from closing a silent stream, and tells where the project
        stands, for `Last-Event-ID`.
        """
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._outbox.put(Message("", position=self._outbox.position))

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _lose(self) -> None:
        self._outbox.put(failure(await self._lobby.lose(self._token)))
        await asyncio.sleep(CLOSE_SECONDS)

    async def _write(self, text: str) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
