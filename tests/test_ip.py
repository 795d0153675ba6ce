"""IP addresses: one reader for every spelling."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import ip
from tests.examples import examples

V4, V6 = "203.0.113.195", "2001:db8::7"

SPELLINGS = {
    V4: V4,
    " 203.0.113.195 ": V4,
    '"203.0.113.195"': V4,
    "'203.0.113.195'": V4,
    "203.0.113.195:54321": V4,
    '"203.0.113.195:54321"': V4,
    "[203.0.113.195]:443": V4,
    "::ffff:203.0.113.195": V4,
    "::FFFF:203.0.113.195": V4,
    "::ffff:cb00:71c3": V4,
    "0:0:0:0:0:ffff:203.0.113.195": V4,
    "[::ffff:203.0.113.195]": V4,
    '"[::ffff:203.0.113.195]:54321"': V4,
    "::ffff:203.0.113.195%eth0": V4,
    "64:ff9b::203.0.113.195": V4,
    "64:FF9B::cb00:71c3": V4,
    V6: V6,
    "2001:DB8:0::0007": V6,
    "[2001:db8::7]": V6,
    '"[2001:DB8::7]:4711"': V6,
    "2001:db8::7%eth0": V6,
    "fe80::1%eth0": "fe80::1",
    "[fe80::1%25eth0]:80": "fe80::1",
    "64:ff9b:1::203.0.113.195": "64:ff9b:1::cb00:71c3",
    "::1": "::1",
}


@pytest.mark.parametrize(("text", "address"), SPELLINGS.items())
def test_every_spelling_of_an_address_is_that_address(text: str, address: str) -> None:
    assert str(ip.parse(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "nginx",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.195:port",
        "203.0.113.195, 198.51.100.7",
        "[203.0.113.195",
        "\xff",
        "1" * 10_000_000,
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert ip.parse(text) is None


@examples(300)
@given(st.ip_addresses(), st.sampled_from(["{}", "[{}]", "[{}]:80", '"{}"', "{}%lo"]))
def test_an_address_is_found_in_whatever_stands_around_it(address: ip.Address, around: str) -> None:
    usual = ip.parse(str(address))
    assert usual is not None
    assert ip.parse(str(usual)) == usual
    for text in (str(address), str(address).upper(), address.exploded):
        assert ip.parse(around.format(text)) == usual
    if address.version == 4:
        mapped = int(ip.MAPPED.network_address) + int(address)
        assert ip.parse(str(ip_address(mapped))) == address == usual


def test_a_network_of_mapped_addresses_is_the_network_of_those() -> None:
    given = {
        "10.0.0.0/8": "10.0.0.0/8",
        "192.0.2.1": "192.0.2.1/32",
        "fd00::/8": "fd00::/8",
        "::ffff:10.0.0.0/104": "10.0.0.0/8",
        "64:ff9b::192.0.2.1": "192.0.2.1/32",
        "::/0": "::/0",
    }
    assert {text: str(ip.network(text)) for text in given} == given
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        ip.network("10.0.0.1/8")
    assert ip.network("10.0.0.0/8") == ip_network("10.0.0.0/8")


def test_the_hops_of_a_list_are_read_from_the_right_and_unknown_ones_left_out() -> None:
    assert list(ip.hops("a, unknown,, b , UNKNOWN")) == ["b", "a"]
    assert list(ip.hops("")) == []
    many = ",".join(str(number) for number in range(1000))
    assert list(ip.hops(many)) == [str(number) for number in range(999, 999 - ip.MAX_HOPS, -1)]


def test_the_first_address_of_a_list_is_the_first_that_is_one() -> None:
    assert ip.first(f"unknown, {V4}:80, {V6}") == V4
    assert ip.first(V6.upper()) == V6
    assert ip.first("unknown, _hidden") == ip.first("") == ""
    assert ip.first("x," * ip.MAX_HOPS + V4) == ""


HOUSEHOLDS = (
    ("2001:db8:0:7::1", "2001:DB8:0:7:ffff:ffff:ffff:ffff", "[2001:db8:0:7::2]:443"),
    ("2001:db8:0:8::1",),
    ("::1",),
    ("203.0.113.195", "::ffff:203.0.113.195", "[::ffff:203.0.113.195]:80", "64:ff9b::cb00:71c3"),
    ("203.0.113.196",),
    ("64:ff9b::203.0.113.197",),
    ("/run/collector.sock",),
    ("",),
)


def test_a_household_is_an_ipv4_address_or_half_an_ipv6_one() -> None:
    found = [{ip.household(address) for address in addresses} for addresses in HOUSEHOLDS]
    assert [len(households) for households in found] == [1] * len(HOUSEHOLDS)
    assert len(set().union(*found)) == len(HOUSEHOLDS)
