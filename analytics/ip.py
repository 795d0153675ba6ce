"""IP addresses: one reader for every place where somebody writes one."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
"""Where networks without IPv4 reach it (RFC 6052): the last 32 bits are the IPv4 address."""

MAPPED = IPv6Network("::ffff:0:0/96")
"""How a socket for both versions shows an IPv4 address."""

UNKNOWN = "unknown"
"""What a proxy writes in a list when it does not know (RFC 7239)."""

MAX_HOPS = 32
"""Addresses of a list that are read; the others could only cost time."""

MAX_CHARACTERS = 100
"""Of an address with all that may stand around it."""

_BRACKETED = re.compile(r"\[([^]]*)\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")


def parse(text: str) -> Address | None:
    """The address in a text; None for anything else.

    A mapped and a NAT64 address are the IPv4 address that they carry. Quotes, brackets, a port and
    a zone are ignored.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    bare = text.strip("\"' \t")
    if match := _WITH_PORT.fullmatch(bare) or _BRACKETED.fullmatch(bare):
        bare = match[1]
    try:
        return _carried(ip_address(bare.partition("%")[0]))
    except ValueError:
        return None


def _carried(address: Address) -> Address:
    is_carrier = isinstance(address, IPv6Address) and (address in MAPPED or address in NAT64)
    return IPv4Address(int(address) & 0xFFFF_FFFF) if is_carrier else address


def network(text: str) -> Network:
    """A network, or a single address. Raises ValueError for anything else.

    A network of mapped or NAT64 addresses is the network of the IPv4 addresses that they carry.
    """
    parsed = ip_network(text)
    if isinstance(parsed, IPv6Network) and (parsed.subnet_of(MAPPED) or parsed.subnet_of(NAT64)):
        return IPv4Network((_carried(parsed.network_address), parsed.prefixlen - 96))
    return parsed


def household(text: str) -> str:
    """What tells a client from others: the whole IPv4 address, or the first half of an IPv6 one.

    A client has the other half to itself, and its devices change it. The half is a number in
    decimal; a text that is no address comes back as it is.
    """
    parsed = parse(text) if ":" in text else None
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed or text)


def hops(text: str) -> Iterator[str]:
    """The last MAX_HOPS entries of a list like X-Forwarded-For, from the right.

    Empty ones and `unknown` are left out.
    """
    for entry in reversed(text.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        hop = entry.strip()
        if hop and hop.lower() != UNKNOWN:
            yield hop


def first(text: str) -> str:
    """The first address in a text that has one, or several with commas between; "" without any."""
    entries = text.split(",", MAX_HOPS)[:MAX_HOPS]
    return next((str(address) for entry in entries if (address := parse(entry))), "")
