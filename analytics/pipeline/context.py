"""What the steps may know of a request, and the operator's rules for them; all of it is brought,
nothing is looked up.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address

import msgspec

MAX_AGENT = 512
"""Characters of a user agent that are looked at; honest ones have half of that."""

_BROWSERLIKE = re.compile(rb"(Mozilla|Opera)/")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's settings, as steps need them."""

    bots: str = "drop"
    signals: tuple[str, ...] = ("gpc", "dnt")
    store_ip: str = "no"
    country_header: bytes = b""
    """In lower case; believed because the operator named it."""
    country: Callable[[str], str | None] | None = None
    """Address → country, from the operator's file; answers from memory."""


class Context(msgspec.Struct, frozen=True):
    """One request; names of headers are in lower case."""

    headers: Mapping[bytes, bytes]
    received: datetime
    browser: bool = False
    """Whether the visitor's own browser made it, so that its headers are the visitor's."""
    agent: str = ""
    """The visitor's user agent, where the request has it."""
    address: str = ""
    """The visitor's address, where the request has it."""
    salt: bytes = b""
    """Today's."""
    rules: Rules = Rules()

    @property
    def silent(self) -> bool:
        """Whether the request tells nothing of a visitor: then only what events say themselves
        counts.
        """
        return not (self.browser or self.agent or self.address)


def context_of(
    headers: Mapping[bytes, bytes],
    peer: str,
    received: datetime,
    *,
    relayed: bool,
    salt: bytes,
    rules: Rules,
) -> Context:
    """Whose headers a request has. `relayed` says that its protocol lets servers put the visitor's
    user agent and address into them.
    """
    if b"origin" in headers or b"sec-fetch-site" in headers:
        return Context(headers, received, True, _agent(headers), peer, salt, rules)
    if relayed and _BROWSERLIKE.match(headers.get(b"user-agent", b"")):
        return Context(headers, received, False, _agent(headers), _forwarded(headers), salt, rules)
    return Context(headers, received, salt=salt, rules=rules)


def _agent(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"user-agent", b"").decode("latin-1")[:MAX_AGENT]


def _forwarded(headers: Mapping[bytes, bytes]) -> str:
    """The first address of X-Forwarded-For: what a server says of its visitor, as an SDK does in
    its `ip`.
    """
    try:
        return str(
            ip_address(
                headers.get(b"x-forwarded-for", b"").partition(b",")[0].strip().decode("ascii")
            )
        )
    except ValueError:
        return ""
