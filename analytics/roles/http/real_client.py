"""The client's real IP address: the one that a trusted proxy reports, else the connection's."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = b"x-real-ip"
"""One address, which our nginx overwrites. Any client can write the start of X-Forwarded-For."""


class RealClient:
    """Puts the client's own address into the scope, for connections from `trusted` networks."""

    def __init__(self, app: ASGIApp, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self.app = app
        self.trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] in ("http", "websocket") and client and self._trusts(client[0]):
            header = next((value for name, value in scope["headers"] if name == HEADER), None)
            if header is not None and (address := _address(header)) is not None:
                scope = {**scope, "client": (address, client[1])}
        await self.app(scope, receive, send)

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:  # a unix socket has no address
            return False
        return any(address in network for network in self.trusted)


def _address(header: bytes) -> str | None:
    """The header's address in its usual notation; None for anything else."""
    try:
        return str(ip_address(header.decode("ascii").strip()))
    except ValueError:  # includes UnicodeDecodeError
        return None
