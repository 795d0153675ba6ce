"""Who acted, where nothing is stored in a browser: the same visitor for a day, and nobody
afterwards.
"""

import hashlib
from ipaddress import IPv6Address, ip_address

from analytics.events import DERIVED_SESSION_PREFIX, NO_ACTOR
from analytics.pipeline.visit import Visit


def put_visitor(visit: Visit) -> None:
    """Who acted where an event names nobody and no session: a hash of the day's salt, project,
    address and user agent.
    """
    salt = visit.context.salt
    if (
        visit.event.actor == NO_ACTOR
        and salt
        and (address := visit.address)
        and (agent := visit.agent)
    ):
        visit.belongs(DERIVED_SESSION_PREFIX + visitor(salt, visit.event.project, address, agent))


def visitor(salt: bytes, project: str, address: str, agent: str) -> str:
    """32 hexadecimal digits, which say nothing once the salt is gone."""
    parts = "\0".join((project, _home(address), agent)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(parts, key=salt, digest_size=16).hexdigest()


def _home(address: str) -> str:
    """An address of IPv6 changes its second half by itself, so that its first stands for it."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(int(known) >> 64) if isinstance(known, IPv6Address) else str(known)
