"""The client's address: only a trusted proxy may report another one."""

from ipaddress import ip_network

import pytest
from starlette.types import Receive, Scope, Send

from analytics.errors import ConfigurationError
from analytics.roles.http.real_client import RealClient
from analytics.settings import load

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "header", "seen"),
    [
        ("10.1.2.3", b"203.0.113.7", "203.0.113.7"),
        ("fd00::1", b"2001:DB8::7", "2001:db8::7"),
        ("203.0.113.9", b"198.51.100.1", "203.0.113.9"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", b"203.0.113.7, 198.51.100.1", "10.1.2.3"),
        ("10.1.2.3", b"\xff", "10.1.2.3"),
        ("unix:", b"203.0.113.7", "unix:"),
    ],
    ids=[
        "trusted",
        "trusted, IPv6",
        "a stranger's word",
        "silent proxy",
        "a list",
        "no address",
        "unix socket",
    ],
)
async def test_only_a_trusted_proxy_is_believed(peer: str, header: bytes | None, seen: str) -> None:
    clients = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clients.append(scope["client"][0])

    headers = [] if header is None else [(b"x-forwarded-for", b"192.0.2.1"), (b"x-real-ip", header)]
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    await RealClient(app, PROXIES)(scope, None, None)  # type: ignore[arg-type]  # app uses neither
    assert clients == [seen]


def test_the_proxies_are_addresses_or_networks() -> None:
    assert load({"TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1"}).trusted_proxies == (
        ip_network("10.0.0.0/8"),
        ip_network("192.0.2.1/32"),
    )
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        load({"TRUSTED_PROXIES": "nginx"})
