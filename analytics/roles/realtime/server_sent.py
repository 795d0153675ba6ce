"""A reader on server-sent events: one subscription a request, for clients that have only HTTP."""

import asyncio
from contextlib import suppress
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from analytics.errors import BadRequest
from analytics.roles.http.credentials import needed_token
from analytics.roles.realtime.admission import Admission, between, first_of
from analytics.roles.realtime.messages import encode, failure
from analytics.roles.realtime.outbox import Outbox, QueuedMessage
from analytics.roles.realtime.requests import SubscribeRequest, in_words
from analytics.roles.realtime.sockets import CLOSE_SECONDS, SEND_SECONDS, count_sent
from analytics.roles.realtime.subscriptions import Subscriptions

HEARTBEAT_SECONDS = 15.0
RETRY_MS = (2_000, 6_000)
"""When a reader that lost its stream may return: at random, so that not all return at once."""

STREAM = "stream"
"""The id of the only subscription; readers do not see it."""

PARAMETERS = ("channel", "project", "event", "where")
HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


def frame(entry: QueuedMessage) -> str:
    """A message as one event of the stream.

    It has the project's position (for `Last-Event-ID`), the type, and the JSON of the WebSocket
    without `id`.
    """
    position = "" if entry.position is None else f"id: {entry.position}\n"
    message = entry.message
    if message is None:
        return f":\n{position}\n"
    data = encode(msgspec.structs.replace(message, id=UNSET)).decode()
    return f"{position}event: {message.kind}\ndata: {data}\n\n"


def request_of(query: bytes) -> SubscribeRequest:
    """The subscription that a query string asks for.

    Raises BadRequest that names the parameter at fault.
    """
    values: dict[str, object] = {}
    where: list[str] = []
    for name, value in _pairs(query):
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
    fields = {"type": "subscribe", "id": STREAM, "channel": "events", **values, "where": where}
    try:
        return msgspec.convert(fields, SubscribeRequest)
    except msgspec.ValidationError as error:
        field = next((name for name in PARAMETERS if f"$.{name}" in str(error)), None)
        raise BadRequest(in_words(error), code="bad_parameter", field=field) from error


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        text = query.decode()
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError as error:
        raise BadRequest("the query string cannot be understood", code="bad_parameter") from error


class EventsEndpoint:
    """`/realtime/events` as an ASGI app, because its response is sent bit by bit.

    Until the stream begins, it raises AnalyticsErrors, which become error responses.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        admission: Admission = scope["app"].state.admission
        admission.open_to(headers)
        token = needed_token(headers)
        key = await admission.identify(token, headers)
        with admission.place("sse", token):
            outbox = Outbox()
            subscriptions = Subscriptions(admission.hub, outbox)
            try:
                position = await subscriptions.add(request_of(scope["query_string"]), key)
                last = _position(headers.get("last-event-id", ""))
                if last is not None and last < position:
                    outbox.miss(STREAM, position - last, position)
                await EventStream(admission, outbox, token, receive, send).run()
            finally:
                subscriptions.clear()


class EventStream:
    """One stream, from its first line to its last."""

    def __init__(
        self, admission: Admission, outbox: Outbox, token: str, receive: Receive, send: Send
    ) -> None:
        self._admission = admission
        self._outbox = outbox
        self._token = token
        self._receive = receive
        self._send = send

    async def run(self) -> None:
        """Returns when the reader left, is too slow or lost its key, or when this role stops."""
        await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await self._write(f"retry: {between(*RETRY_MS)}\n\n")
        with suppress(TimeoutError):
            await first_of(
                self._messages(),
                self._heartbeat(),
                self._left(),
                self._lose(),
                self._admission.closing(),
            )
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send({"type": "http.response.body"})

    async def _messages(self) -> None:
        """Send what the outbox holds. Raises TimeoutError when the reader is too slow."""
        while True:
            entries = await self._outbox.take()
            async with asyncio.timeout(SEND_SECONDS):
                await self._write("".join(map(frame, entries)))
            count_sent(entries)
            await asyncio.sleep(0)

    async def _heartbeat(self) -> None:
        """Send the position every 15 s, so that no proxy closes a silent stream."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._outbox.put(None, self._outbox.position)

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _lose(self) -> None:
        self._outbox.put(failure(await self._admission.lose(self._token)))
        await asyncio.sleep(CLOSE_SECONDS)

    async def _write(self, text: str) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _position(text: str) -> int | None:
    """The number in `Last-Event-ID`; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
