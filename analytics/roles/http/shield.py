"""The outermost middleware: security headers, and a JSON 500 for an unexpected exception."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics.errors import BadRequest
from analytics.roles.http.errors import error_body
from analytics.roles.http.responses import json_response

log = logging.getLogger(__name__)

DEFAULT_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""Of every response that does not set them itself."""


class Shield:
    """Adds the security headers, and turns an unexpected exception into a logged JSON 500.

    It refuses a request with both Content-Length and Transfer-Encoding. A proxy before us may
    have taken the other of the two for the end of the request (request smuggling).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def send_secured(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", ()))
                own = {name for name, _ in headers}
                added = (header for header in DEFAULT_HEADERS if header[0] not in own)
                message["headers"] = [*headers, *added]
            await send(message)

        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            error = BadRequest(
                "a request has Content-Length or Transfer-Encoding, not both", code="two_lengths"
            )
            refusal = json_response({"error": error_body(error)}, 400, {"Connection": "close"})
            return await refusal(scope, receive, send_secured)
        try:
            await self.app(scope, receive, send_secured)
        except ClientDisconnect:
            log.debug("a client left before its request was read")
        except Exception:
            log.exception("unexpected error at %s %s", scope["method"], scope["path"])
            if started:  # half a response is sent: only closing the connection says that it failed
                raise
            message = "an unexpected error; it is in the log"
            response = json_response({"error": {"code": "internal", "message": message}}, 500)
            await response(scope, receive, send_secured)
