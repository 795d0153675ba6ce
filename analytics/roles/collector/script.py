"""Serves the browser tracker, compressed once; browsers keep it for an hour and then ask whether it
is still the same.
"""

import gzip
import hashlib

import brotli
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MAX_AGE = 3600

HEADERS = {
    "Cache-Control": f"public, max-age={MAX_AGE}, stale-while-revalidate=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",  # pages that isolate themselves may load it too
    "Vary": "Accept-Encoding",
}


class Script:
    """One script as an ASGI app, for GET and HEAD."""

    def __init__(self, source: bytes) -> None:
        self.mark = hashlib.sha256(source).hexdigest()[:16]
        self.bodies = {
            "br": brotli.compress(source),
            "gzip": gzip.compress(source, mtime=0),
            "": source,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(Request(scope))(scope, receive, send)

    def answer(self, request: Request) -> Response:
        """200 in the smallest encoding that is accepted, or 304. A proxy may have weakened the
        ETag, or have encoded anew what it names.
        """
        encoding = chosen(request.headers.get("accept-encoding", ""))
        headers = {**HEADERS, "ETag": self.etag(encoding)}
        if self.mark in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if encoding:
            headers["Content-Encoding"] = encoding
        return Response(self.bodies[encoding], headers=headers, media_type="text/javascript")

    def etag(self, encoding: str) -> str:
        """Each encoding has its own, for they are different bytes."""
        return f'"{self.mark}{encoding and f"-{encoding}"}"'


def chosen(accepted: str) -> str:
    """The first of br and gzip that a header accepts, else none; `q=0` is a refusal."""
    offers = dict(
        offer.replace(" ", "").lower().partition(";q=")[::2] for offer in accepted.split(",")
    )
    return next(
        (
            encoding
            for encoding in ("br", "gzip")
            if encoding in offers and (not offers[encoding] or offers[encoding].strip("0."))
        ),
        "",
    )
