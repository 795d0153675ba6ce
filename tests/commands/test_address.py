"""The address of a role on this machine, as a URL has it."""

import pytest

from analytics.commands.address import local


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
