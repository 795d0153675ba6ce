"""The table of settings: each with its name, how it is read, its default and its help."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from analytics.settings import readers

CENTURY_DAYS = 36_500
"""The longest retention but `for ever`, which is 0."""


class Setting(NamedTuple):
    """One variable: how to read it, its default as one would write it, and its help text."""

    name: str
    read: Callable[[str], Any]
    default: str | None
    help: str


SETTINGS = (
    Setting(
        "ENVIRONMENT",
        readers.one_of("production", "development", "test"),
        "development",
        "production or development; if unset, NODE_ENV is read instead",
    ),
    Setting(
        "HOST", str, None, "address to listen on; 127.0.0.1 in development, 0.0.0.0 in production"
    ),
    Setting("PORT", readers.port, None, "port of the role, when exactly one role runs"),
    Setting("COLLECTOR_PORT", readers.port, "4001", "port of the collector"),
    Setting("API_PORT", readers.port, "4002", "port of the api"),
    Setting("REALTIME_PORT", readers.port, "4003", "port of realtime"),
    Setting("PROCESSOR_PORT", readers.port, "4004", "port of the processor's health and metrics"),
    Setting(
        "REDIS_URL",
        readers.url("redis", "rediss", "unix"),
        None,
        "Redis or Valkey, for the queue, realtime and the cache",
    ),
    Setting(
        "DATABASE_URL",
        readers.url("postgresql", "postgres"),
        None,
        "PostgreSQL 15 to 18, with or without TimescaleDB",
    ),
    Setting(
        "DATABASE_REPLICA_URL",
        readers.url("postgresql", "postgres"),
        None,
        "streaming replica for the api to read; API keys are still looked up at DATABASE_URL, "
        "and watermarks stay correct",
    ),
    Setting(
        "API_KEYS",
        readers.names,
        "",
        "comma-separated API keys that may query, and follow in realtime, every project",
    ),
    Setting(
        "REQUIRE_WRITE_KEY",
        readers.boolean,
        "false",
        "refuse events without a write key; if false, they go to the project default",
    ),
    Setting(
        "CORS_ORIGINS",
        readers.origins,
        "*",
        "comma-separated origins whose pages may send events and use realtime; * allows any",
    ),
    Setting(
        "API_CORS_ORIGINS",
        readers.origins,
        "",
        "comma-separated origins whose pages may ask the api; * allows any, empty none",
    ),
    Setting(
        "TRACKER_PATHS",
        readers.paths,
        "",
        "comma-separated extra paths for the browser tracker: in .js to serve its script, else "
        "to receive events",
    ),
    Setting(
        "BOTS",
        readers.one_of("drop", "mark", "keep"),
        "drop",
        "what to do with events from robots: drop them, mark them with $bot, or keep them "
        "unchanged",
    ),
    Setting(
        "HONOR_SIGNALS",
        readers.signals,
        "gpc,dnt",
        "comma-separated opt-out signals of a browser that drop its events: gpc, dnt, or none",
    ),
    Setting(
        "STORE_IP",
        readers.one_of("no", "truncated", "full"),
        "no",
        "whether to store visitors' IP addresses: no, truncated (to /24 or /48) or full",
    ),
    Setting(
        "COUNTRY_HEADER",
        readers.header,
        None,
        "header in which your CDN sends the visitor's country, such as CF-IPCountry; if unset, "
        "no header is trusted",
    ),
    Setting(
        "GEOIP_FILE", Path, None, "file in MaxMind's format that maps IP addresses to countries"
    ),
    Setting(
        "LOG_LEVEL",
        readers.one_of("debug", "info", "warning", "error"),
        "info",
        "debug, info, warning or error",
    ),
    Setting(
        "CONCURRENCY",
        readers.positive,
        "5",
        "most transactions that one processor has open at once",
    ),
    Setting(
        "BATCH_SIZE",
        readers.positive,
        "100",
        "start a transaction once this many events wait; sooner when no more arrive",
    ),
    Setting(
        "RETENTION_DAYS",
        readers.between(0, CENTURY_DAYS),
        "90",
        "days to keep raw events; 0 keeps them forever",
    ),
    Setting(
        "PARTITION_SPAN",
        readers.one_of("auto", "week", "month"),
        "auto",
        "span of one partition or chunk of raw events: week or month; auto is a week up to 366 "
        "days of retention, else a month",
    ),
    Setting(
        "ROLLUP_DIMENSIONS",
        readers.names,
        "$browser,$os,$device,$country,$referrer,$path,$utm_source,page",
        "comma-separated metadata keys by which counts and people are precomputed; each costs "
        "some ingest speed and disk",
    ),
    Setting(
        "LEDGER_DAYS",
        readers.between(1, CENTURY_DAYS),
        "7",
        "minimum days to remember the id of an event, whatever its timestamp, so that a repeat "
        "is not counted",
    ),
    Setting(
        "MAX_EVENT_BYTES",
        readers.between(1024, 10_485_760),
        "262144",
        "bytes of metadata that one event may have, as JSON without blanks; a larger event is "
        "rejected",
    ),
    Setting(
        "MAX_QUEUED_EVENTS",
        readers.positive,
        "2000000",
        "the collector answers 503 once this many events wait in the queue",
    ),
    Setting(
        "MAX_REDIS_MEMORY",
        readers.ratio,
        "0.75",
        "the collector answers 503 once Redis uses this share of its maxmemory",
    ),
    Setting(
        "RATE_LIMIT",
        readers.whole,
        "0",
        "rate limit of a collector: requests a second by one API key, IPv4 address or IPv6 network "
        "of 64 bits; 0 is no limit",
    ),
    Setting(
        "TRUSTED_PROXIES",
        readers.networks,
        "",
        "comma-separated addresses or networks of the proxies whose X-Real-IP, else "
        "X-Forwarded-For, is trusted",
    ),
    Setting(
        "JOB_TIMEOUT",
        readers.positive,
        "30",
        "seconds that one transaction may take before it is retried",
    ),
    Setting(
        "SHUTDOWN_DELAY",
        readers.between(0, 20),
        None,
        "seconds between reporting `not ready` and closing, up to 20; 5 in production, 0 in "
        "development",
    ),
    Setting(
        "DATA_DIR",
        readers.folder,
        None,
        "folder for the data of the embedded servers; by default in the user's data folder",
    ),
)

SECRETS = ("REDIS_URL", "DATABASE_URL", "DATABASE_REPLICA_URL", "API_KEYS")
"""Settings that may also be given as NAME_FILE, the path of a file that holds the value."""
