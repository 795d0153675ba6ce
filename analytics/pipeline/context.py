"""What the steps know of a request, and the operator's rules for them. No step does I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from analytics import ip
from analytics.pipeline.lookups import Budget

MAX_AGENT = 512
"""Characters of a user agent that are read; real ones have at most half of that."""

_BROWSERLIKE = re.compile(rb"(Mozilla|Opera)/")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's settings, as steps need them."""

    bots: str = "drop"
    signals: tuple[str, ...] = ("gpc", "dnt")
    store_ip: str = "no"
    country_header: bytes = b""
    """In lower case; trusted, because the operator named it."""
    country: Callable[[str], str | None] | None = None
    """Address → country, from the operator's file in memory."""


class Context(msgspec.Struct, frozen=True):
    """One request; header names are in lower case."""

    headers: Mapping[bytes, bytes]
    received: datetime
    browser: bool = False
    """Whether the visitor's own browser sent it; then its headers are the visitor's."""
    agent: str = ""
    """The visitor's user agent, if the request has it."""
    address: str = ""
    """The visitor's IP address in its usual notation, if the request has it."""
    salt: bytes = b""
    """Of the day of the request."""
    rules: Rules = Rules()
    budget: Budget = msgspec.field(default_factory=Budget)
    """For new user agents; all events of the request share it."""
    host_budget: Budget = msgspec.field(default_factory=Budget)
    """For new names of hosts that are not in ASCII."""

    @property
    def silent(self) -> bool:
        """Whether the request has no facts about a visitor. Then only the events may have some."""
        return not (self.browser or self.agent or self.address)


def context_of(
    headers: Mapping[bytes, bytes],
    peer: str,
    received: datetime,
    *,
    relayed: bool,
    salt: bytes,
    rules: Rules,
    budget: Callable[[], Budget] = Budget,
) -> Context:
    """The context of a request, with the visitor's headers if it has them.

    `peer` is the client's address in its usual notation. `relayed` says that servers may send the
    visitor's user agent and address in the headers. `budget` makes the request's budgets.
    """
    agent = address = ""
    browser = b"origin" in headers or b"sec-fetch-site" in headers
    if browser:
        agent, address = _agent(headers), peer
    elif relayed and _BROWSERLIKE.match(headers.get(b"user-agent", b"")):
        agent, address = _agent(headers), _forwarded(headers)
    return Context(headers, received, browser, agent, address, salt, rules, budget(), budget())


def _agent(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"user-agent", b"").decode("latin-1")[:MAX_AGENT]


def _forwarded(headers: Mapping[bytes, bytes]) -> str:
    """The first address of X-Forwarded-For, in which a server reports its visitor."""
    return ip.first(headers.get(b"x-forwarded-for", b"").decode("latin-1"))
