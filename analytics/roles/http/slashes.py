"""A slash at the end of a path changes nothing."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class Slashes:
    """Takes `/path/` as `/path`, unless a route itself ends in a slash.

    Other products' libraries have such paths. A slash written %2F is part of an id, and stays.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        self._exact = [
            route.path_regex
            for route in routes
            if isinstance(route, Route | WebSocketRoute) and route.path.endswith("/")
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"].endswith("/"):
            scope = {**scope, "path": self._without(scope["path"], scope["raw_path"])}
        await self.app(scope, receive, send)

    def _without(self, path: str, raw_path: bytes) -> str:
        if any(regex.match(path) for regex in self._exact):
            return path
        slashes = len(raw_path) - len(raw_path.rstrip(b"/"))
        return path[: len(path) - slashes] or "/"
