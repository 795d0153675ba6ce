"""Where this machine reaches a role that listens on a host and a port, and how."""

import socket
from urllib.request import OpenerDirector, ProxyHandler, build_opener

from analytics import ip

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound

DIRECT = build_opener(ProxyHandler({}))
"""Asks a role on this machine itself, whatever proxy the environment names."""


def local(host: str, port: int) -> str:
    """`host:port` for a URL; a host that means every address becomes the loopback address."""
    host = _ANY.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def opener(host: str) -> OpenerDirector:
    """How to ask the host of a URL: as the environment says only if it is another machine."""
    return DIRECT if _is_here(host) else build_opener()


def _is_here(host: str) -> bool:
    """Whether a host is `localhost`, or an address that a socket here can have.

    No other name is looked up: perhaps only the proxy knows it.
    """
    address = ip.parse(host)
    if address is None:
        return host == "localhost"
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as candidate:
        try:
            candidate.bind((str(address), 0))
        except OSError:
            return False
    return True
