"""The client's real IP address: the one that a trusted proxy reports, else the connection's."""

import logging
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from analytics import ip
from analytics.logs import Seldom
from analytics.roles.http.headers import FORWARDED_FOR, Headers, joined

log = logging.getLogger(__name__)

REAL_IP = b"x-real-ip"
"""One address, which a proxy overwrites."""

NAMES = {REAL_IP: "X-Real-IP", FORWARDED_FOR: "X-Forwarded-For"}
"""The headers that count, as the log names them."""

SHOWN = 60
"""Characters that the log shows of what is no address."""


class RealClient:
    """Puts the client's own address into the scope, in its usual notation.

    Headers count only in connections from `trusted` networks.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[ip.Network]) -> None:
        self.app = app
        self.trusted = trusted
        self._seldom = {name: Seldom() for name in NAMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") if scope["type"] in ("http", "websocket") else None
        # an IPv4 address of a connection is in its usual notation already; a unix socket has none
        if client and (self.trusted or ":" in client[0]) and (peer := ip.parse(client[0])):
            reported = self._reported(scope["headers"]) if self._trusts(peer) else None
            scope = {**scope, "client": (str(reported or peer), client[1])}
        await self.app(scope, receive, send)

    def _trusts(self, address: ip.Address) -> bool:
        return any(address in network for network in self.trusted)

    def _reported(self, headers: Headers) -> ip.Address | None:
        """The client that a trusted proxy reports; None if it reports none."""
        real = joined(headers, REAL_IP).decode("latin-1")
        return (self._read(REAL_IP, real) if real else None) or self._forwarded(headers)

    def _forwarded(self, headers: Headers) -> ip.Address | None:
        """From the right, the first hop that is not trusted; if all are, the one furthest left.

        A hop that is no address ends the search: nobody vouches for what stands left of it.
        """
        address = None
        for hop in ip.hops(joined(headers, FORWARDED_FOR).decode("latin-1")):
            read = self._read(FORWARDED_FOR, hop)
            address = read or address
            if read is None or not self._trusts(read):
                break
        return address

    def _read(self, header: bytes, text: str) -> ip.Address | None:
        """An address; what is none is logged."""
        address = ip.parse(text)
        if address is None and text.lower() != ip.UNKNOWN and self._seldom[header].passes():
            shown = text[:SHOWN]
            log.warning("%s from a trusted proxy holds no address: %a", NAMES[header], shown)
        return address
