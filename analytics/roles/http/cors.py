"""Which pages may send events: CORS for every answer but the operator's, refusals included.

Other products' libraries send with credentials, so their paths allow it; no answer depends on any.
Our own paths never do.
"""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics.errors import Forbidden
from analytics.roles.http.role import OPERATOR_PATHS, error_response

Headers = list[tuple[bytes, bytes]]

VARY = (b"vary", b"origin")
EXPOSED = (b"access-control-expose-headers", b"retry-after, x-analytics")
METHODS = (b"access-control-allow-methods", b"GET, POST")
MAX_AGE = (b"access-control-max-age", b"86400")
ALLOWED = b"authorization, content-encoding, content-type, x-write-key"


class Origins:
    """The pages that CORS_ORIGINS names; `*` among them is any page."""

    def __init__(self, origins: Sequence[str]) -> None:
        self.any = "*" in origins
        self.listed = frozenset(origin.rstrip("/").encode() for origin in origins)

    def __contains__(self, origin: bytes) -> bool:
        return self.any or origin in self.listed

    def marks(self, origin: bytes | None, *, credentials: bool = False) -> Headers:
        """What an answer to this origin says of who may read it."""
        if credentials and origin is not None and origin in self:
            return [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-credentials", b"true"),
                VARY,
                EXPOSED,
            ]
        if self.any:
            return [(b"access-control-allow-origin", b"*"), EXPOSED]
        if origin in self.listed:
            return [(b"access-control-allow-origin", origin), VARY, EXPOSED]
        return [VARY]


class Cors:
    """Answers preflights, and marks every other answer. Whether an event is taken from a page is
    decided where it is taken.
    """

    def __init__(
        self, app: ASGIApp, origins: "Origins", credentialed: re.Pattern[str] | None = None
    ) -> None:
        self.app = app
        self.origins = origins
        self.credentialed = credentialed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPERATOR_PATHS:
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        credentials = (
            origin is not None
            and self.credentialed is not None
            and self.credentialed.match(scope["path"]) is not None
        )
        marks = self.origins.marks(origin, credentials=credentials)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *marks]
            await send(message)

        if (
            scope["method"] != "OPTIONS"
            or origin is None
            or b"access-control-request-method" not in headers
        ):
            return await self.app(scope, receive, marked)
        if origin not in self.origins:
            return await error_response(foreign_origin())(scope, receive, marked)
        allowed = [
            METHODS,
            MAX_AGE,
            (
                b"access-control-allow-headers",
                headers.get(b"access-control-request-headers", ALLOWED),
            ),
        ]
        await marked({"type": "http.response.start", "status": 204, "headers": allowed})
        return await send({"type": "http.response.body", "body": b""})


def foreign_origin() -> Forbidden:
    return Forbidden("pages of this origin may not send events here", code="foreign_origin")
