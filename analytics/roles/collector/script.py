"""Serves the browser tracker: compressed once, cached by browsers for an hour."""

import gzip
import hashlib

import brotli
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MAX_AGE_SECONDS = 3600

HEADERS = {
    "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}, stale-while-revalidate=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",  # for pages with Cross-Origin-Embedder-Policy
    "Vary": "Accept-Encoding",
}


class TrackerScript:
    """One script as an ASGI app, for GET and HEAD."""

    def __init__(self, source: bytes) -> None:
        self.fingerprint = hashlib.sha256(source).hexdigest()[:16]
        self.bodies = {
            "br": brotli.compress(source),
            "gzip": gzip.compress(source, mtime=0),
            "": source,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(Request(scope))(scope, receive, send)

    def answer(self, request: Request) -> Response:
        """200 in the best accepted encoding, or 304.

        If-None-Match is searched for the fingerprint alone. A proxy may have made the ETag weak,
        or have encoded the body another way.
        """
        encoding = best_encoding(request.headers.get("accept-encoding", ""))
        headers = {**HEADERS, "ETag": self.etag(encoding)}
        if self.fingerprint in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if encoding:
            headers["Content-Encoding"] = encoding
        return Response(self.bodies[encoding], headers=headers, media_type="text/javascript")

    def etag(self, encoding: str) -> str:
        """Each encoding has its own ETag, because its bytes differ."""
        return f'"{self.fingerprint}{encoding and f"-{encoding}"}"'


def best_encoding(accepted: str) -> str:
    """The first of br and gzip that Accept-Encoding allows, else ""; `q=0` forbids one."""
    offers = dict(
        offer.replace(" ", "").lower().partition(";q=")[::2] for offer in accepted.split(",")
    )
    for encoding in ("br", "gzip"):
        quality = offers.get(encoding)
        if quality == "" or (quality is not None and quality.strip("0.")):
            return encoding
    return ""
