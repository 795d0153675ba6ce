"""The visitor's IP address: earlier steps use it; this last one stores what STORE_IP allows."""

from ipaddress import ip_network
from typing import Any

from analytics import ip
from analytics.pipeline.visit import Visit

NAMES = ("$ip", "$ip_address", "$ip_override", "$remote_addr", "$request_ip")
"""Metadata in which protocols and SDKs send an address."""

PLACES = ("$properties", "$context", "$set", "$set_once")
"""Objects in metadata that the library fills, not its user."""

HIDDEN = frozenset((*NAMES, *(name[1:] for name in NAMES)))
"""Names of an address inside these objects."""

PREFIX_BITS = {4: 24, 6: 48}
"""IP version → the bits of an address that truncation leaves."""


def put_address(visit: Visit) -> None:
    """`$ip` by `STORE_IP`: removed, cut to /24 or /48, or whole."""
    rule = visit.context.rules.store_ip
    address = "" if rule == "no" else visit.address
    if rule == "truncated":
        address = truncated(address)
    if rule != "full":
        for name in NAMES:
            visit.remove(name)
        _clean_hidden(visit)
    if address and address != visit.text("$ip"):
        visit.replace("$ip", address)


def truncated(address: str) -> str:
    """The network of an address; "" for what is not an address."""
    parsed = ip.parse(address)
    if parsed is None:
        return ""
    return str(ip_network((parsed, PREFIX_BITS[parsed.version]), strict=False).network_address)


def _clean_hidden(visit: Visit) -> None:
    """Remove addresses at any depth of PLACES: the library's context, a person, and so on."""
    for place in PLACES:
        content = visit.value(place)
        if isinstance(content, dict) and (rest := _without_address(content)) != content:
            visit.replace(place, rest) if rest else visit.remove(place)


def _without_address(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_address(inner) for name, inner in value.items() if name not in HIDDEN
        }
    return [_without_address(inner) for inner in value] if isinstance(value, list) else value
