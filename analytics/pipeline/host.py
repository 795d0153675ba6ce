"""Host names in the form that browsers send, so that one host has one name in every event."""

from analytics import hosts
from analytics.pipeline.lookups import Lookup
from analytics.pipeline.visit import Visit


def canonical(visit: Visit, host: str) -> str:
    """A host in lower case, without the dot of the root; "" for a new one beyond the budget."""
    name = host.lower().removesuffix(".")
    return name if hosts.is_plain(name) else _names.of(name, visit.context.host_budget) or ""


_names = Lookup(hosts.canonical)
