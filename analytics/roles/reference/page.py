"""What the api says of itself, without a key: `/api`, `/api/openapi.json` and `/api/docs`.

The page at `/api/docs` is Swagger UI. `files/` holds it as its makers publish it, compressed;
`make reference` renews it. A browser asks nobody else for anything.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics.roles.http.responses import json_response
from analytics.roles.reference import places
from analytics.roles.reference.document import DOCUMENT
from analytics.roles.reference.listing import LISTING, PATH
from analytics.settings import Settings

FILES = files(__package__).joinpath("files")

POLICY = (
    "default-src 'self'; connect-src {}; img-src 'self' data:; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Of the page; {} is where it may send requests. Swagger UI's stylesheet has icons as `data:`."""

PAGE = {
    LISTING.docs: "page.html",
    f"{LISTING.docs}/page.css": "page.css",
    f"{LISTING.docs}/page.js": "page.js",
    f"{LISTING.docs}/swagger-ui.css": "swagger-ui.css.gz",
    f"{LISTING.docs}/swagger-ui-bundle.js": "swagger-ui-bundle.js.gz",
}
"""Path → its file."""

MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
MAX_AGE_SECONDS = 3600


class File:
    """One file, kept in memory, as an endpoint."""

    def __init__(self, name: str, policy: str) -> None:
        """`name` is that in `files/`; one in `.gz` is sent as it is, and browsers inflate it."""
        self._body = FILES.joinpath(name).read_bytes()
        plain = name.removesuffix(".gz")
        self._media_type = MEDIA_TYPES[plain.rpartition(".")[2]]
        self._headers = {
            "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
            "Content-Security-Policy": policy,
            "ETag": f'"{hashlib.sha256(self._body).hexdigest()[:16]}"',
        }
        if plain != name:
            self._headers["Content-Encoding"] = "gzip"

    async def __call__(self, request: Request) -> Response:
        if request.headers.get("if-none-match") == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, headers=self._headers, media_type=self._media_type)


async def _listing(_: Request) -> Response:
    return json_response(LISTING)


async def _document(_: Request) -> Response:
    return json_response(DOCUMENT)


def routes(settings: Settings) -> Sequence[Route]:
    """The list, the document, and the files of the page."""
    policy = POLICY.format(" ".join(["'self'", *places.sources(settings)]))
    return [
        Route(PATH, _listing),
        Route(LISTING.openapi, _document),
        *(Route(path, File(name, policy).__call__) for path, name in PAGE.items()),
    ]
