"""The values of all settings, and what follows from them."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from analytics import ip
from analytics.errors import ConfigurationError

WEEKLY_UP_TO_DAYS = 366
"""The longest retention for which PARTITION_SPAN=auto is a week."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, typed. A field has the name of its variable in lower case."""

    environment: str = "development"
    host: str = "127.0.0.1"
    port: int | None = None
    collector_port: int = 4001
    api_port: int = 4002
    realtime_port: int = 4003
    processor_port: int = 4004
    redis_url: str | None = None
    database_url: str | None = None
    database_replica_url: str | None = None
    api_keys: tuple[str, ...] = ()
    require_write_key: bool = False
    cors_origins: tuple[str, ...] = ("*",)
    api_cors_origins: tuple[str, ...] = ()
    tracker_paths: tuple[str, ...] = ()
    bots: str = "drop"
    honor_signals: tuple[str, ...] = ("gpc", "dnt")
    store_ip: str = "no"
    country_header: str = ""
    geoip_file: Path | None = None
    log_level: str = "info"
    concurrency: int = 5
    batch_size: int = 100
    retention_days: int = 90
    partition_span: str = "auto"
    rollup_dimensions: tuple[str, ...] = (
        "$browser",
        "$os",
        "$device",
        "$country",
        "$referrer",
        "$path",
        "$utm_source",
        "page",
    )
    ledger_days: int = 7
    max_event_bytes: int = 262_144
    max_queued_events: int = 2_000_000
    max_redis_memory: float = 0.75
    rate_limit: int = 0
    trusted_proxies: tuple[ip.Network, ...] = ()
    job_timeout: int = 30
    shutdown_delay: int = 0
    data_dir: Path = Path()

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def embedded(self) -> bool:
        """Whether `analytics run` starts a PostgreSQL and a Valkey of its own."""
        return not (self.production or self.redis_url or self.database_url)

    @property
    def monthly(self) -> bool:
        """Whether a partition holds a month, else a week.

        PARTITION_SPAN says so. With `auto` it is a month where weeks would be too many. Weeks are
        better where they can be: less is kept beyond the retention.
        """
        return self.partition_span == "month" or (
            self.partition_span == "auto" and not 0 < self.retention_days <= WEEKLY_UP_TO_DAYS
        )

    def port_of(self, role: str, roles: Sequence[str]) -> int:
        """The port of one role among those that this process runs."""
        if self.port is not None and len(roles) == 1:
            return self.port
        return int(getattr(self, f"{role}_port"))

    def redis(self) -> str:
        """REDIS_URL, or a ConfigurationError that names it."""
        return _present("REDIS_URL", self.redis_url)

    def database(self) -> str:
        """DATABASE_URL, or a ConfigurationError that names it."""
        return _present("DATABASE_URL", self.database_url)


def _present(name: str, value: str | None) -> str:
    if not value:
        raise ConfigurationError(f"{name} is not set", field=name)
    return value
