"""The address of a role on this machine, as a URL has it."""

import pytest

from analytics.commands.address import DIRECT, local, opener


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:3000"),
        ("0.0.0.0", "127.0.0.1:3000"),  # noqa: S104 - compared, not bound
        ("::", "[::1]:3000"),
        ("::1", "[::1]:3000"),
        ("2001:db8::7", "[2001:db8::7]:3000"),
        ("localhost", "localhost:3000"),
    ],
)
def test_every_address_becomes_the_loopback_and_ipv6_gets_brackets(host: str, address: str) -> None:
    assert local(host, 3000) == address


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("192.0.2.1", False),
        ("2001:db8::7", False),
        ("shop.example", False),
        ("localhost.shop.example", False),
    ],
)
def test_only_what_is_on_this_machine_is_asked_past_the_proxy(host: str, here: bool) -> None:
    assert (opener(host) is DIRECT) == here
