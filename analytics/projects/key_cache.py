"""From a token to its key: asked of a source, believed for a while, and through an outage of the
source for as long as it lasts.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from analytics.errors import Unauthorized, Unavailable, UnknownKey
from analytics.projects.key import Key, digest

FRESH_SECONDS = 25.0
"""How long a verdict is not asked for again. With a mirror at most 30 s old, a revoked key works
for less than a minute.
"""

UNKNOWN_SECONDS = 5.0
OUTAGE_SECONDS = 1.0
VERDICTS = 10_000


class Source(Protocol):
    """Where keys are looked up."""

    async def find(self, digest: bytes) -> Key | None:
        """The key, or None when it surely does not exist; raises Unavailable when that cannot be
        told.
        """


class _Verdict(NamedTuple):
    key: Key | None
    until: float


class _Verdicts:
    """The latest verdicts by digest, the oldest forgotten beyond VERDICTS."""

    def __init__(self) -> None:
        self._held: dict[bytes, _Verdict] = {}

    def get(self, digest: bytes) -> _Verdict | None:
        return self._held.get(digest)

    def put(self, digest: bytes, verdict: _Verdict) -> None:
        self._held.pop(digest, None)
        self._held[digest] = verdict
        if len(self._held) > VERDICTS:
            del self._held[next(iter(self._held))]

    def drop(self, digest: bytes) -> None:
        self._held.pop(digest, None)


class Keys:
    """Tokens → keys, with the verdicts of a source cached: a known key goes on working through an
    outage, however long.
    """

    def __init__(self, source: Source, static: Sequence[str] = ()) -> None:
        """`static` are the tokens of API_KEYS, which query and watch every project."""
        self._source = source
        self._static = {
            digest(token): Key(
                id=0, prefix="API_KEYS", project=None, scopes=frozenset({"query", "realtime"})
            )
            for token in static
        }
        self._known = _Verdicts()
        self._unknown = (
            _Verdicts()
        )  # apart, so that a flood of guesses cannot push out the real ones
        self._outage: tuple[float, Unavailable] | None = None

    async def find(self, token: str) -> Key:
        """The key of this token. Raises Unauthorized (UnknownKey, revoked, expired), or Unavailable
        when that cannot be told now.
        """
        digested = digest(token)
        key = self._static.get(digested) or await self._verdict(digested)
        if key is None:
            raise UnknownKey("this key is unknown")
        if key.revoked:
            raise Unauthorized("this key has been revoked")
        if key.expired:
            raise Unauthorized("this key has expired")
        return key

    async def _verdict(self, digested: bytes) -> Key | None:
        known = self._known.get(digested)
        held = known or self._unknown.get(digested)
        if held is not None and time.monotonic() < held.until:
            return held.key
        try:
            key = await self._ask(digested)
        except Unavailable:
            if known is None:
                raise
            return known.key
        now = time.monotonic()
        if key is None:
            self._known.drop(digested)
            self._unknown.put(digested, _Verdict(None, now + UNKNOWN_SECONDS))
        else:
            self._known.put(digested, _Verdict(key, now + FRESH_SECONDS))
        return key

    async def _ask(self, digested: bytes) -> Key | None:
        """Ask the source, unless it has just failed: during an outage not every request waits for
        its time-out.
        """
        if self._outage is not None and time.monotonic() < self._outage[0]:
            raise Unavailable(self._outage[1].message) from self._outage[1]
        try:
            key = await self._source.find(digested)
        except Unavailable as error:
            self._outage = (time.monotonic() + OUTAGE_SECONDS, error)
            raise
        self._outage = None
        return key
