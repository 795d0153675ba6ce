"""A visitor's address: used above, stored only as the operator wants it. The last step."""

from ipaddress import ip_address, ip_network
from typing import Any

from analytics.pipeline.visit import Visit

NAMES = ("$ip", "$ip_address", "$ip_override", "$remote_addr", "$request_ip")
"""Under which protocols and SDKs hand an address on."""

PLACES = ("$properties", "$context", "$set", "$set_once")
"""Objects that are a library's, not its user's own."""

HIDDEN = frozenset((*NAMES, *(name[1:] for name in NAMES)))
"""What an address is called in them."""

PREFIX = {4: 24, 6: 48}
"""Bits that are left of an address of each version."""


def put_address(visit: Visit) -> None:
    """`$ip` by `STORE_IP`: taken away, cut to /24 or /48, or whole."""
    rule = visit.context.rules.store_ip
    if rule == "full":
        return visit.put("$ip", visit.context.address)
    kept = truncated(visit.address) if rule == "truncated" else ""
    for name in NAMES:
        visit.remove(name)
    _clean_hidden(visit)
    return visit.put("$ip", kept)


def truncated(address: str) -> str:
    """The network that an address is in; nothing for what is none."""
    try:
        known = ip_address(address.strip())
    except ValueError:
        return ""
    mapped = getattr(known, "ipv4_mapped", None) or known
    return str(ip_network((mapped, PREFIX[mapped.version]), strict=False).network_address)


def _clean_hidden(visit: Visit) -> None:
    """Addresses in what a library says within something else, however deep: its context, a person,
    properties that another of the same name has hidden.
    """
    for place in PLACES:
        if (
            place in visit
            and isinstance(hidden := visit.value(place), dict)
            and (left := _without(hidden)) != hidden
        ):
            visit.replace(place, left) if left else visit.remove(place)


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(each) for name, each in value.items() if name not in HIDDEN}
    return [_without(each) for each in value] if isinstance(value, list) else value
