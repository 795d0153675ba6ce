"""The client's address: only a trusted proxy may report another one."""

import logging
from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from starlette.types import Receive, Scope, Send

from analytics import ip
from analytics.errors import ConfigurationError
from analytics.roles.collector.limits import Limits
from analytics.roles.http.real_client import RealClient
from analytics.settings import load
from tests.collecting import GOOD, running
from tests.visits import CHROME

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PROXY = "10.1.2.3"

REAL_IPS = {
    "trusted": (PROXY, b"203.0.113.7", "203.0.113.7"),
    "trusted, IPv6": ("fd00::1", b"2001:DB8::7", "2001:db8::7"),
    "trusted, on a socket for both": ("::ffff:10.1.2.3", b"203.0.113.7", "203.0.113.7"),
    "with a port": (PROXY, b"203.0.113.195:54321", "203.0.113.195"),
    "mapped": (PROXY, b"::FFFF:203.0.113.7", "203.0.113.7"),
    "a stranger's word": ("203.0.113.9", b"198.51.100.1", "203.0.113.9"),
    "a stranger on a socket for both": ("::ffff:203.0.113.9", b"198.51.100.1", "203.0.113.9"),
    "a stranger with a zone": ("FE80::1%eth0", b"198.51.100.1", "fe80::1"),
    "a unix socket": ("unix:", b"203.0.113.7", "unix:"),
}

FORWARDED: dict[str, tuple[str, list[bytes], str]] = {
    "one hop": (PROXY, [b"203.0.113.7"], "203.0.113.7"),
    "with a port, as Azure writes it": (PROXY, [b"203.0.113.195:54321"], "203.0.113.195"),
    "a forged beginning": (PROXY, [b"198.51.100.1, 203.0.113.7"], "203.0.113.7"),
    "proxies between": (PROXY, [b"198.51.100.1, 203.0.113.7, 10.9.9.9, fd00::2"], "203.0.113.7"),
    "only proxies": (PROXY, [b"10.7.7.7, 10.9.9.9"], "10.7.7.7"),
    "unknown hops": (PROXY, [b"203.0.113.7, unknown, , 10.9.9.9"], "203.0.113.7"),
    "several lines": (PROXY, [b"::1", b"203.0.113.7, 10.9.9.9", b"fd00::2"], "203.0.113.7"),
    "a forged line before": (PROXY, [b"198.51.100.1", b"203.0.113.7"], "203.0.113.7"),
    "a hop that is no address": (PROXY, [b"203.0.113.7, _hidden"], PROXY),
    "nothing left of it counts": (PROXY, [b"203.0.113.7, _hidden, 10.9.9.9"], "10.9.9.9"),
    "a stranger's word": ("203.0.113.9", [b"198.51.100.1"], "203.0.113.9"),
    "a silent proxy": (PROXY, [], PROXY),
}


async def seen(
    peer: str,
    *headers: tuple[bytes, bytes],
    kind: str = "http",
    trusted: Sequence[ip.Network] = PROXIES,
) -> str:
    """The address that an app behind RealClient sees."""
    clients: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clients.append(scope["client"][0])

    scope = {"type": kind, "client": (peer, 1), "headers": list(headers)}
    await RealClient(app, trusted)(scope, None, None)  # type: ignore[arg-type]  # app uses neither
    return clients[0]


@pytest.mark.parametrize(("peer", "header", "client"), REAL_IPS.values(), ids=REAL_IPS)
async def test_only_a_trusted_proxy_is_believed(peer: str, header: bytes, client: str) -> None:
    headers = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-real-ip", header)]
    assert await seen(peer, *headers) == client
    assert await seen(peer, *headers, kind="websocket") == client


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("unix:", "unix:"),
    ],
)
async def test_without_proxies_an_address_is_that_of_the_connection(peer: str, client: str) -> None:
    assert await seen(peer, (b"x-real-ip", b"198.51.100.1"), trusted=()) == client


@pytest.mark.parametrize(("peer", "lines", "client"), FORWARDED.values(), ids=FORWARDED)
async def test_without_x_real_ip_the_first_hop_from_the_right_that_is_not_trusted_counts(
    peer: str, lines: list[bytes], client: str
) -> None:
    assert await seen(peer, *((b"x-forwarded-for", line) for line in lines)) == client


@pytest.mark.parametrize(
    "lines",
    [[b"nginx"], [b"\xff"], [b"unknown"], [b""], [b"203.0.113.7, 198.51.100.1"], [b"::1", b"::2"]],
)
async def test_an_x_real_ip_that_holds_no_address_leaves_it_to_x_forwarded_for(
    lines: list[bytes],
) -> None:
    headers = [(b"x-forwarded-for", b"192.0.2.1"), *((b"x-real-ip", line) for line in lines)]
    assert await seen(PROXY, *headers) == "192.0.2.1"


async def test_what_is_no_address_is_logged_once_a_minute_with_the_headers_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    client = RealClient(app, PROXIES)

    async def receive(peer: str, name: bytes, value: bytes) -> None:
        scope = {"type": "http", "client": (peer, 1), "headers": [(name, value)]}
        await client(scope, None, None)  # type: ignore[arg-type]  # app uses neither

    with caplog.at_level(logging.WARNING):
        await receive("203.0.113.9", b"x-real-ip", b"a stranger's")
        await receive(PROXY, b"x-real-ip", b"unknown")
        await receive(PROXY, b"x-forwarded-for", b"unknown, 203.0.113.7")
        assert caplog.messages == []
        for _ in range(100):
            await receive(PROXY, b"x-real-ip", b"edge\x1b[31m\xe9" + b"x" * 1000)
            await receive(PROXY, b"x-forwarded-for", b"203.0.113.7, hidden, 10.9.9.9")
    assert caplog.messages == [
        "X-Real-IP from a trusted proxy holds no address: 'edge\\x1b[31m\\xe9" + "x" * 50 + "'",
        "X-Forwarded-For from a trusted proxy holds no address: 'hidden'",
    ]


@pytest.mark.parametrize("header", ["x_real_ip", "x_forwarded_for"])
async def test_behind_a_proxy_there_are_as_many_people_as_addresses(header: str) -> None:
    trusted = load({"TRUSTED_PROXIES": "10.0.0.0/8"}).trusted_proxies
    page = {"n": "pageview", "u": "https://shop.example/", "d": "shop.example"}
    spellings = ["198.51.100.{}", "::ffff:198.51.100.{}", "198.51.100.{}:4711"]
    async with running("::ffff:10.1.2.3", trusted_proxies=trusted) as client:
        for number in range(20):
            for spelling in spellings:
                fields = {header: spelling.format(number), "origin": "https://shop.example"}
                await client.send_events(page, "/api/event", user_agent=CHROME, **fields)
        assert len(client.sink.events) == 60
        assert len({event.session_id for event in client.sink.events}) == 20


async def test_a_peer_is_one_for_the_rate_limit_however_its_address_is_spelt() -> None:
    trusted = load({"TRUSTED_PROXIES": "10.0.0.1"}).trusted_proxies
    async with running("10.0.0.1", trusted_proxies=trusted) as client:
        client.intake.limits = Limits(1, now=lambda: 0.0)
        answers = [
            await client.send_events(GOOD, x_real_ip=spelling)
            for spelling in ("203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7:9", "203.0.113.8")
        ]
    assert [answer.status_code for answer in answers] == [202, 429, 429, 202]


def test_the_proxies_are_addresses_or_networks() -> None:
    assert load({"TRUSTED_PROXIES": "10.0.0.0/8, ::ffff:192.0.2.1"}).trusted_proxies == (
        ip_network("10.0.0.0/8"),
        ip_network("192.0.2.1/32"),
    )
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        load({"TRUSTED_PROXIES": "nginx"})
