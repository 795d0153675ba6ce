"""CORS: which web pages may use a role. It covers every path but the operator's.

A browser sends a JSON `sendBeacon`, and many libraries send their events, with credentials
(cookies). So the paths that take events allow credentials; no response depends on them.
"""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics.errors import Forbidden
from analytics.roles.http.errors import error_response
from analytics.roles.http.health import OPERATOR_PATHS

Headers = list[tuple[bytes, bytes]]

VARY = (b"vary", b"origin")
MAX_AGE = (b"access-control-max-age", b"86400")
DEFAULT_HEADERS = b"authorization, content-encoding, content-type, x-write-key"


class Origins:
    """The origins of a setting; `*` among them allows every page.

    `exposed` are the response headers that pages may read.
    """

    def __init__(
        self, origins: Sequence[str], exposed: bytes = b"retry-after, x-analytics"
    ) -> None:
        self.any = "*" in origins
        self.listed = frozenset(origin.rstrip("/").encode() for origin in origins)
        self._exposed = (b"access-control-expose-headers", exposed)

    def __contains__(self, origin: bytes) -> bool:
        return self.any or origin in self.listed

    def headers(self, origin: bytes | None, *, credentials: bool = False) -> Headers:
        """The CORS headers of a response to a page of this origin."""
        if credentials and origin is not None and origin in self:
            return [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-credentials", b"true"),
                VARY,
                self._exposed,
            ]
        if self.any:
            return [(b"access-control-allow-origin", b"*"), self._exposed]
        if origin in self.listed:
            return [(b"access-control-allow-origin", origin), VARY, self._exposed]
        return [VARY]


class Cors:
    """Answers preflights, and adds the CORS headers to every other response, errors included.

    It refuses only preflights; the collector itself refuses events from pages of other origins.
    """

    def __init__(
        self,
        app: ASGIApp,
        origins: Origins,
        credentialed: re.Pattern[str] | None = None,
        methods: bytes = b"GET, POST",
    ) -> None:
        """Paths that match `credentialed` allow credentials."""
        self.app = app
        self.origins = origins
        self.credentialed = credentialed
        self.methods = (b"access-control-allow-methods", methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPERATOR_PATHS:
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        credentials = self.credentialed is not None and self.credentialed.match(scope["path"])
        added = self.origins.headers(origin, credentials=bool(credentials))

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with(list(message.get("headers", ())), added)
            await send(message)

        preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
        if not preflight or origin is None:
            return await self.app(scope, receive, send_with_cors)
        if origin not in self.origins:
            return await error_response(foreign_origin())(scope, receive, send_with_cors)
        requested = headers.get(b"access-control-request-headers", DEFAULT_HEADERS)
        allowed = [self.methods, MAX_AGE, (b"access-control-allow-headers", requested)]
        await send_with_cors({"type": "http.response.start", "status": 204, "headers": allowed})
        return await send({"type": "http.response.body", "body": b""})


def _with(headers: Headers, added: Headers) -> Headers:
    """Both, but `Vary: origin` only once."""
    varies = any(name == b"vary" and b"origin" in value.lower() for name, value in headers)
    return [*headers, *(header for header in added if not (varies and header == VARY))]


def foreign_origin() -> Forbidden:
    """The refusal of a page whose origin is not among those of the role."""
    return Forbidden("pages of this origin may not use this address", code="foreign_origin")
