"""Who is really at the other end: the address that a trusted proxy tells, else that of the
connection.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = b"x-real-ip"
"""One address, overwritten by our nginx; X-Forwarded-For is a list whose beginning anybody may
write.
"""


class RealClient:
    """Puts the client's own address into the scope when the connection comes from one of the
    `trusted` networks.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self.app = app
        self.trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] in ("http", "websocket")
            and (client := scope.get("client"))
            and self._trusts(client[0])
        ):
            told = next((value for name, value in scope["headers"] if name == HEADER), None)
            if told is not None and (address := _address(told)) is not None:
                scope = {**scope, "client": (address, client[1])}
        await self.app(scope, receive, send)

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:  # a unix socket has no address
            return False
        return any(address in network for network in self.trusted)


def _address(told: bytes) -> str | None:
    """An address as it is usually written; None for anything else, which is then not believed."""
    try:
        return str(ip_address(told.decode("ascii").strip()))
    except ValueError:  # UnicodeDecodeError among them
        return None
