"""In development, keeps the operator's paths from pages of foreign names (DNS rebinding).

A page of evil.example, whose name then leads to 127.0.0.1, is of the same origin as this server for
its browser, so no rule for other origins helps. What else a role shows needs a key.
"""

import platform
import re
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from analytics import hosts
from analytics.errors import Forbidden
from analytics.roles.http.errors import error_response
from analytics.roles.http.health import OPERATOR_PATHS

OUR_SUFFIXES = (".localhost", ".local", ".internal", ".test", ".home.arpa")
"""Names that nobody can have in the public DNS; neither can they have a name without a dot."""


_NAME = re.compile(r"(\[[0-9a-f:.%]*\]|[^:\[\]@]*)(?::[0-9]*)?")


class KnownHost:
    """Refuses OPERATOR_PATHS under names that others may own: all but `host`, an address, or ours.

    For development only: in production the operator's own names lead here.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.names = {hosts.canonical(host), hosts.canonical(platform.node())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in OPERATOR_PATHS:
            header = next((value for name, value in scope["headers"] if name == b"host"), b"")
            if not self.knows(header.decode("latin-1")):
                return await error_response(foreign_host())(scope, receive, send)
        return await self.app(scope, receive, send)

    def knows(self, header: str) -> bool:
        """Whether a Host header names this machine, as far as one can tell."""
        match = _NAME.fullmatch(header.lower())
        name = match[1].strip("[]").rstrip(".") if match else header
        return (
            name in self.names
            or name.endswith(OUR_SUFFIXES)
            or _is_address(name)
            or (match is not None and "." not in name)
        )


def foreign_host() -> Forbidden:
    """The refusal of a name that may be anybody's."""
    return Forbidden(
        "in development this is shown only under localhost, an address or the name in HOST",
        code="foreign_host",
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
