"""What the api says of itself, without a key: `/api`, `/api/openapi.json` and `/api/docs`.

The page at `/api/docs` is Swagger UI. `files/` holds it as its makers publish it, compressed;
`make reference` renews it. A browser asks nobody else for anything.
"""

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics.roles.http.responses import json_response
from analytics.roles.reference.document import DOCUMENT
from analytics.roles.reference.listing import LISTING, PATH

FILES = files(__package__).joinpath("files")

POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
"""Of the page. Swagger UI's stylesheet holds its icons as `data:`."""

MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
MAX_AGE_SECONDS = 3600


class File:
    """One file, kept in memory, as an endpoint."""

    def __init__(self, name: str) -> None:
        """`name` is that in `files/`; one in `.gz` is sent as it is, and browsers inflate it."""
        self._body = FILES.joinpath(name).read_bytes()
        plain = name.removesuffix(".gz")
        self._media_type = MEDIA_TYPES[plain.rpartition(".")[2]]
        self._headers = {
            "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
            "Content-Security-Policy": POLICY,
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


ROUTES = (
    Route(PATH, _listing),
    Route(LISTING.openapi, _document),
    Route(LISTING.docs, File("page.html").__call__),
    Route(f"{LISTING.docs}/page.css", File("page.css").__call__),
    Route(f"{LISTING.docs}/page.js", File("page.js").__call__),
    Route(f"{LISTING.docs}/swagger-ui.css", File("swagger-ui.css.gz").__call__),
    Route(f"{LISTING.docs}/swagger-ui-bundle.js", File("swagger-ui-bundle.js.gz").__call__),
)
