"""What the collector's requests share: admission by origin, key and rate, and the queue."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from analytics import ip, pipeline
from analytics.errors import AnalyticsError, Forbidden, Unauthorized, Unavailable, UnknownKey
from analytics.events import DEFAULT_PROJECT, Event
from analytics.pipeline.lookups import LookupTime
from analytics.projects import ApiKey, KeyCache, authorize
from analytics.protocols import Incoming, Projects
from analytics.roles.collector.geoip import open_countries
from analytics.roles.collector.limits import Limits
from analytics.roles.collector.work import Workplace
from analytics.roles.http.cors import Origins, foreign_origin
from analytics.settings import Settings

OWN_TOKENS = ("ak_w_", "ak_r_", "ak_a_")
"""Prefixes of our own keys: an unknown key with such a prefix is always an error."""


class Sink(Protocol):
    """What the collector needs of the queue."""

    async def append(self, events: Sequence[Event]) -> None:
        """Returns when the events are durable. Raises Unavailable when none of them is."""

    async def check(self) -> str:
        """For /health."""

    async def refresh_gauges(self) -> None:
        """For /metrics."""


class SaltSource(Protocol):
    """Where the collector gets the day's salt."""

    async def of(self, moment: datetime) -> bytes:
        """The salt of a moment's day. Raises Unavailable."""


class Intake:
    """What all requests share while the collector runs.

    Raises ConfigurationError when GEOIP_FILE cannot be read.
    """

    def __init__(self, sink: Sink, keys: KeyCache, salts: SaltSource, settings: Settings) -> None:
        self.sink = sink
        self.salts = salts
        self.rules = rules_of(settings)
        self.steps = pipeline.STEPS
        self.keys = keys
        self.require_key = settings.require_write_key
        self.retention_days = settings.retention_days
        self.max_event_bytes = settings.max_event_bytes
        self.origins = Origins(settings.cors_origins)
        self.limits = Limits(settings.rate_limit)
        self.workplace = Workplace()
        self.lookup_time = LookupTime()

    async def sender(self, headers: Mapping[bytes, bytes], peer: str) -> str:
        """Whom a request counts for before its body is read.

        It is the key in the headers, if it is valid, else the household of the address.
        """
        if b"x-write-key" in headers or b"authorization" in headers:
            head = Incoming(b"", headers, b"", datetime.now(UTC))
            if token := head.key or head.username:
                with suppress(Unauthorized, Unavailable):
                    return _of_key(await self.keys.find(token))
        return ip.household(peer)

    async def admit(
        self,
        tokens: Sequence[str | None],
        origin: bytes | None,
        peer: str,
        *,
        foreign: bool = False,
    ) -> Projects:
        """The projects of a request by its keys, or why single keys are refused.

        A `foreign` token (of another product's library) that is unknown here counts as no key.
        So to begin it is enough to point a library at this server.

        Raises Unauthorized or Forbidden when all keys are refused; RateLimited when one of them is
        over its limit, or Unavailable when one cannot be checked, because the sender keeps its
        events then.
        """
        if origin is not None and origin not in self.origins:
            raise foreign_origin()
        admissions = [await self._admission(token, origin, peer, foreign) for token in tokens]
        self.limits.take(*dict.fromkeys(admission.sender for admission in admissions))
        refusals = [one.project for one in admissions if isinstance(one.project, AnalyticsError)]
        if len(refusals) == len(admissions):
            raise refusals[0]
        return {token: one.project for token, one in zip(tokens, admissions, strict=True)}

    async def _admission(
        self, token: str | None, origin: bytes | None, peer: str, foreign: bool
    ) -> "_Admission":
        """What a key opens. Raises Unavailable when it cannot be checked."""
        if token is None:
            missing = Unauthorized("a write key is required", code="missing_key")
            return _Admission(ip.household(peer), missing if self.require_key else DEFAULT_PROJECT)
        try:
            key = await self.keys.find(token)
        except Unauthorized as error:
            needs_key = self.require_key or token.startswith(OWN_TOKENS)
            unknown = foreign and isinstance(error, UnknownKey) and not needs_key
            # somebody who guesses keys is known only by the address
            return _Admission(ip.household(peer), DEFAULT_PROJECT if unknown else error)
        page = None if origin is None else origin.decode("latin-1")
        try:
            return _Admission(_of_key(key), authorize(key, "ingest", origin=page))
        except Forbidden as error:
            return _Admission(_of_key(key), error)


class _Admission(NamedTuple):
    """Whom a key's requests count for, and its project or why it is refused."""

    sender: str
    project: str | AnalyticsError


def _of_key(key: ApiKey) -> str:
    """The sender that a key is."""
    return f"key {key.id}"


def rules_of(settings: Settings) -> pipeline.Rules:
    """The settings that the pipeline's steps follow."""
    path = settings.geoip_file
    return pipeline.Rules(
        bots=settings.bots,
        signals=settings.honor_signals,
        store_ip=settings.store_ip,
        country_header=settings.country_header.encode(),
        country=None if path is None else open_countries(path),
    )
