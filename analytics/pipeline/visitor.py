"""Visitors without cookies: one actor for a day, which nobody can link to the next day's."""

import hashlib

from analytics import ip
from analytics.events import DERIVED_SESSION_PREFIX, NO_ACTOR
from analytics.pipeline.visit import Visit


def put_visitor(visit: Visit) -> None:
    """The session of an event without session and user.

    It is a hash of the day's salt, the project, the address and the user agent.
    """
    salt = visit.context.salt
    if visit.event.actor != NO_ACTOR or not salt:
        return
    if (address := visit.address) and (agent := visit.agent):
        visit.set_session(
            DERIVED_SESSION_PREFIX + visitor(salt, visit.event.project, address, agent)
        )


def visitor(salt: bytes, project: str, address: str, agent: str) -> str:
    """32 hexadecimal digits; without the salt nobody can compute them again."""
    parts = "\0".join((project, ip.household(address), agent)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(parts, key=salt, digest_size=16).hexdigest()
