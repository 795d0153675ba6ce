"""What the collector's requests share: admission by origin, key and rate, and the queue."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from analytics import pipeline
from analytics.errors import Unauthorized, UnknownKey
from analytics.events import DEFAULT_PROJECT, Event
from analytics.projects import KeyCache, authorize
from analytics.roles.collector.geoip import open_countries
from analytics.roles.collector.limits import Limits
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
        self.origins = Origins(settings.cors_origins)
        self.limits = Limits(settings.rate_limit)

    async def admit(
        self, token: str | None, origin: bytes | None, peer: str, *, foreign: bool = False
    ) -> str:
        """The project of a request, by its key.

        Raises Unauthorized, Forbidden, RateLimited, or Unavailable when the key cannot be checked.
        A `foreign` token (of another product's library) that is unknown here counts as no key.
        So to begin it is enough to point a library at this server.
        """
        if origin is not None and origin not in self.origins:
            raise foreign_origin()
        if token is None:
            self.limits.take(peer)
            if self.require_key:
                raise Unauthorized("a write key is required", code="missing_key")
            return DEFAULT_PROJECT
        try:
            key = await self.keys.find(token)
        except Unauthorized as error:
            self.limits.take(peer)  # somebody who guesses keys is known only by the address
            needs_key = self.require_key or token.startswith(OWN_TOKENS)
            if foreign and isinstance(error, UnknownKey) and not needs_key:
                return DEFAULT_PROJECT
            raise
        self.limits.take(f"key {key.id}")
        return authorize(key, "ingest", origin=None if origin is None else origin.decode("latin-1"))


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
