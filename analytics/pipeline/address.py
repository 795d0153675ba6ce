"""A visitor's address: used above, stored only as the operator wants it. The last step."""

from ipaddress import ip_address, ip_network

from analytics.pipeline.visit import Visit

NAMES = ("$ip", "$ip_address", "$ip_override", "$remote_addr")
"""Under which protocols and SDKs hand an address on."""

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
    """Addresses among properties that another of the same name has hidden, and in a library's own context."""
    for place in ("$properties", "$context"):
        hidden = visit.value(place) if place in visit else None
        if isinstance(hidden, dict) and (found := [name for name in (*NAMES, "ip") if name in hidden]):
            left = {name: value for name, value in hidden.items() if name not in found}
            visit.replace(place, left) if left else visit.remove(place)
