"""A request as hypercorn hands it to an app, bytes that no HTTP client would send included."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

PATIENCE_SECONDS = 30.0
"""A slower answer counts as a hang."""


class Answer(NamedTuple):
    """What an app sent; of a stream of events only its beginning."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


async def ask(
    app: ASGIApp,
    method: str,
    path: bytes,
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"",
) -> Answer:
    """The answer of an app. Raises TimeoutError, and what the app raises."""
    start: Message = {}
    parts: list[bytes] = []
    sent, enough = False, asyncio.Event()

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        parts.append(message.get("body", b""))
        if (
            not message.get("more_body")
            or (b"content-type", b"text/event-stream") in start["headers"]
        ):
            enough.set()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "method": method,
        "scheme": "http",
        "root_path": "",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "headers": [(b"host", b"x"), *headers],
        "client": ("192.0.2.1", 1),
        "server": ("192.0.2.2", 80),
        "state": {},
        "extensions": {},
    }
    async with asyncio.timeout(PATIENCE_SECONDS):
        await app(scope, receive, send)
    return Answer(start["status"], dict(start["headers"]), b"".join(parts))


def fault(answer: Answer, *, ours: bool = True) -> str | None:
    """What is wrong with an answer: a 500, bad JSON, an injected header.

    An error of `ours` also needs a code and a message.
    """
    if answer.status == 500 or not 200 <= answer.status < 600:
        return f"status {answer.status}: {answer.body[:200]!r}"
    if any(
        b"\r" in part or b"\n" in part or b"\0" in part
        for header in answer.headers.items()
        for part in header
    ):
        return f"a header with a line break: {answer.headers}"
    if answer.headers.get(b"x-content-type-options") != b"nosniff":
        return f"no nosniff: {answer.headers}"
    if answer.headers.get(b"content-type") == b"application/json":
        try:
            _ = answer.json
        except (ValueError, AssertionError) as error:
            return f"no JSON: {error}"
    if ours and answer.status >= 400:
        said = answer.json.get("error")
        if not (isinstance(said, dict) and said.get("code") and said.get("message")):
            return f"an error without code or message: {answer.body[:200]!r}"
    return None
