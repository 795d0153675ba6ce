"""Where the collector's requests are admitted: origin, key, project and rate, and what all of them
share.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from analytics import pipeline
from analytics.errors import Unauthorized, UnknownKey
from analytics.events import DEFAULT_PROJECT, Event
from analytics.projects import Keys, authorize
from analytics.roles.collector.geoip import open_countries
from analytics.roles.collector.limits import Limits
from analytics.roles.http.cors import Origins, foreign_origin
from analytics.settings import Settings

OWN_TOKENS = ("ak_w_", "ak_r_", "ak_a_")
"""How keys of our own begin: one that is unknown is a mistake, whoever sends it."""


class Sink(Protocol):
    """What the collector needs of the queue."""

    async def append(self, events: Sequence[Event]) -> None:
        """Returns when the events are durable. Raises Unavailable when none of them is."""

    async def check(self) -> str:
        """For /health."""

    async def refresh_gauges(self) -> None:
        """For /metrics."""


class Salter(Protocol):
    """Where the collector gets the day's salt."""

    async def of(self, moment: datetime) -> bytes:
        """Raises Unavailable."""


class Desk:
    """Where requests are admitted: what all of them share while the collector runs. Raises
    ConfigurationError when GEOIP_FILE cannot be read.
    """

    def __init__(self, sink: Sink, keys: Keys, salts: Salter, config: Settings) -> None:
        self.sink = sink
        self.salts = salts
        self.rules = rules_of(config)
        self.steps = pipeline.STEPS
        self.keys = keys
        self.require_key = config.require_write_key
        self.retention_days = config.retention_days
        self.origins = Origins(config.cors_origins)
        self.limits = Limits(config.rate_limit)

    async def admit(
        self, token: str | None, origin: bytes | None, peer: str, *, foreign: bool = False
    ) -> str:
        """The project of a request. Raises Unauthorized, Forbidden, RateLimited, or Unavailable
        when its key cannot be checked.

        A token that is `foreign` and that nobody has registered is as good as none, so that
        pointing a library here is enough to begin.
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
            self.limits.take(peer)  # who guesses keys is known by nothing else
            if (
                foreign
                and isinstance(error, UnknownKey)
                and not self.require_key
                and not token.startswith(OWN_TOKENS)
            ):
                return DEFAULT_PROJECT
            raise
        self.limits.take(f"key {key.id}")
        return authorize(key, "ingest", origin=None if origin is None else origin.decode("latin-1"))


def rules_of(config: Settings) -> pipeline.Rules:
    """The settings that the pipeline's steps follow."""
    return pipeline.Rules(
        bots=config.bots,
        signals=config.honor_signals,
        store_ip=config.store_ip,
        country_header=config.country_header.encode(),
        country=None if config.geoip_file is None else open_countries(config.geoip_file),
    )
