"""Cached API keys: from a token to its key, through an outage of the key table too."""

import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from analytics.errors import Unauthorized, Unavailable, UnknownKey
from analytics.lru import Lru
from analytics.projects.key import ApiKey, digest

FRESH_SECONDS = 25.0
"""How long a known key is not looked up again.

The mirror in Redis is at most 30 s old, so a revoked key works for less than a minute.
"""

UNKNOWN_SECONDS = 5.0
"""How long a token without a key is not looked up again."""

OUTAGE_SECONDS = 1.0
"""How long nothing is looked up after a failure."""

START_SECONDS = 15.0
"""How long after its start a role may wait for the key table before it counts as ready without.

Longer would be no help: who has no key can be served, and who starts roles one by one must go on.
"""

MAX_KEYS = 10_000
"""Known keys, and as many unknown tokens, that the cache holds."""


class KeyTable(Protocol):
    """Where keys are looked up: the database, or its mirror in Redis."""

    async def find(self, digest: bytes) -> ApiKey | None:
        """The key, or None when it certainly does not exist. Raises Unavailable when in doubt."""


class _Lookup(NamedTuple):
    """What the key table said, and until when (monotonic clock) it counts as fresh."""

    key: ApiKey | None
    until: float


class KeyCache:
    """Tokens → keys, cached. A key once found goes on working through an outage, however long."""

    def __init__(self, table: KeyTable, static: Sequence[str] = ()) -> None:
        """`static` are the tokens of API_KEYS, which may query and watch every project."""
        self._table = table
        self._static = {
            digest(token): ApiKey(
                id=0, prefix="API_KEYS", project=None, scopes=frozenset({"query", "realtime"})
            )
            for token in static
        }
        self._known: Lru[bytes, _Lookup] = Lru(MAX_KEYS)
        # apart, so that a flood of guessed tokens cannot push out known keys
        self._unknown: Lru[bytes, _Lookup] = Lru(MAX_KEYS)
        self._outage: tuple[float, Unavailable] | None = None
        self._answered = 0.0
        self._started = time.monotonic()
        self._checked = False

    async def check(self) -> str:
        """For /health: `ok` once keys can be looked up, and from then on, through any outage.

        Raises Unavailable before, in the first START_SECONDS; then it is `ok: …` with the reason.
        """
        try:
            if not self._checked:
                await self._look_up(b"")  # no key has this digest: every one would be in doubt
        except Unavailable as error:
            if time.monotonic() < self._started + START_SECONDS:
                raise
            return f"ok: {error.message}"
        self._checked = True
        return "ok"

    async def find(self, token: str) -> ApiKey:
        """The key of a token.

        Raises UnknownKey; Unauthorized for a revoked or expired key; Unavailable when the table
        does not answer and the key is not cached.
        """
        digested = digest(token)
        key = self._static.get(digested) or await self._find(digested)
        if key is None:
            raise UnknownKey("this key is unknown")
        if key.revoked:
            raise Unauthorized("this key has been revoked")
        if key.expired:
            raise Unauthorized("this key has expired")
        return key

    async def _find(self, digested: bytes) -> ApiKey | None:
        known = self._known.get(digested)
        cached = known or self._unknown.get(digested)
        if cached is not None and time.monotonic() < cached.until:
            return cached.key
        try:
            key = await self._ask(digested)
        except Unavailable:
            if known is None:
                raise
            return known.key
        now = time.monotonic()
        if key is None:
            self._known.drop(digested)
            self._unknown.put(digested, _Lookup(None, now + UNKNOWN_SECONDS))
        else:
            self._known.put(digested, _Lookup(key, now + FRESH_SECONDS))
        return key

    async def _ask(self, digested: bytes) -> ApiKey | None:
        """Ask the table, unless it has just failed: not every request then waits for a time-out."""
        if self._outage is not None and time.monotonic() < self._outage[0]:
            raise Unavailable(self._outage[1].message) from self._outage[1]
        return await self._look_up(digested)

    async def _look_up(self, digested: bytes) -> ApiKey | None:
        """What the table says. A success ends an outage, also for failures that began before it."""
        asked = time.monotonic()
        try:
            key = await self._table.find(digested)
        except Unavailable as error:
            if asked >= self._answered:
                self._outage = (time.monotonic() + OUTAGE_SECONDS, error)
            raise
        self._answered = time.monotonic()
        self._outage = None
        return key
