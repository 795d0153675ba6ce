"""Every setting; nothing else reads the environment."""

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from analytics import hosts, ip
from analytics.errors import ConfigurationError

ROLES = ("collector", "api", "realtime", "processor")
NEEDS = {
    "collector": ("REDIS_URL",),
    "processor": ("REDIS_URL", "DATABASE_URL"),
    "api": ("DATABASE_URL", "REDIS_URL", "API_KEYS"),
    "realtime": ("REDIS_URL",),
}
"""The settings that each role requires in production."""

CENTURY_DAYS = 36_500
"""The longest retention but `for ever`, which is 0."""


def _between(least: int, most: int | None = None) -> Callable[[str], int]:
    def read(text: str) -> int:
        whole = re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip())
        if not whole or int(text) < least or (most is not None and int(text) > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(f"must be a whole number, {bounds}")
        return int(text)

    return read


_whole = _between(0)
_positive = _between(1)
_port = _between(1, 65535)


def _boolean(text: str) -> bool:
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in words:
        raise ValueError("must be true or false")
    return words[text.lower()]


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


def _origins(text: str) -> tuple[str, ...]:
    return tuple(map(_origin, _names(text)))


def _origin(text: str) -> str:
    """`null` is what a browser sends for a page without an origin, such as a file."""
    if text.lower() in ("*", "null"):
        return text.lower()
    try:
        return hosts.origin(text)
    except ValueError as error:
        raise ValueError(f"{text} {error}, nor *") from error


def _paths(text: str) -> tuple[str, ...]:
    names = _names(text)
    if wrong := [name for name in names if not re.fullmatch(r"(/[\w.~-]+)+", name, re.ASCII)]:
        raise ValueError(f"{wrong[0]} must begin with / and hold letters, digits and . ~ - _ only")
    return names


def _networks(text: str) -> tuple[ip.Network, ...]:
    return tuple(ip.network(name) for name in _names(text))


def _choice(*options: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in options:
            raise ValueError(f"must be one of {', '.join(options)}")
        return text.lower()

    return read


def _hosts_are_clear(url: str) -> bool:
    """Whether the hosts and ports of a URL can be read; several hosts stand with commas between.

    We check it ourselves, because a library's own error might quote the password.
    """
    try:
        places = urlsplit(url).netloc.rpartition("@")[2].split(",")
        with_port = [host for host in places if ":" in host.rpartition("]")[2]]  # not that of IPv6
        ports = [int(host.rpartition(":")[2] or 0) for host in with_port]
    except ValueError:
        return False
    return all(0 <= port < 65536 for port in ports)


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must begin with {schemes[0]}://")
        if not _hosts_are_clear(text):
            raise ValueError(
                "its hosts and ports cannot be read;"
                " / # ? and @ inside a password are written %2F %23 %3F and %40"
            )
        return text

    return read


def _ratio(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) <= 1:
            return value
    raise ValueError("must be a number above 0 and at most 1")


def _signals(text: str) -> tuple[str, ...]:
    names = () if text.lower() == "none" else _names(text.lower())
    if wrong := [name for name in names if name not in ("gpc", "dnt")]:
        raise ValueError(f"{wrong[0]} must be gpc, dnt or none")
    return names


def _header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", text, re.ASCII):
        raise ValueError("must be the name of a header")
    return text.lower()


class Setting(NamedTuple):
    """One variable: how to read it, its default as one would write it, and its help text."""

    name: str
    read: Callable[[str], Any]
    default: str | None
    help: str


SETTINGS = (
    Setting(
        "ENVIRONMENT",
        _choice("production", "development", "test"),
        "development",
        "production or development; if unset, NODE_ENV is read instead",
    ),
    Setting(
        "HOST", str, None, "address to listen on; 127.0.0.1 in development, 0.0.0.0 in production"
    ),
    Setting("PORT", _port, None, "port of the role, when exactly one role runs"),
    Setting("COLLECTOR_PORT", _port, "4001", "port of the collector"),
    Setting("API_PORT", _port, "4002", "port of the api"),
    Setting("REALTIME_PORT", _port, "4003", "port of realtime"),
    Setting("PROCESSOR_PORT", _port, "4004", "port of the processor's health and metrics"),
    Setting(
        "REDIS_URL",
        _url("redis", "rediss", "unix"),
        None,
        "Redis or Valkey, for the queue, realtime and the cache",
    ),
    Setting(
        "DATABASE_URL",
        _url("postgresql", "postgres"),
        None,
        "PostgreSQL 15 to 18, with or without TimescaleDB",
    ),
    Setting(
        "DATABASE_REPLICA_URL",
        _url("postgresql", "postgres"),
        None,
        "streaming replica for the api to read; API keys are still looked up at DATABASE_URL, "
        "and watermarks stay correct",
    ),
    Setting(
        "API_KEYS",
        _names,
        "",
        "comma-separated API keys that may query, and follow in realtime, every project",
    ),
    Setting(
        "REQUIRE_WRITE_KEY",
        _boolean,
        "false",
        "refuse events without a write key; if false, they go to the project default",
    ),
    Setting(
        "CORS_ORIGINS",
        _origins,
        "*",
        "comma-separated origins whose pages may send events and use realtime; * allows any",
    ),
    Setting(
        "API_CORS_ORIGINS",
        _origins,
        "",
        "comma-separated origins whose pages may ask the api; * allows any, empty none",
    ),
    Setting(
        "TRACKER_PATHS",
        _paths,
        "",
        "comma-separated extra paths for the browser tracker: in .js to serve its script, else "
        "to receive events",
    ),
    Setting(
        "BOTS",
        _choice("drop", "mark", "keep"),
        "drop",
        "what to do with events from robots: drop them, mark them with $bot, or keep them "
        "unchanged",
    ),
    Setting(
        "HONOR_SIGNALS",
        _signals,
        "gpc,dnt",
        "comma-separated opt-out signals of a browser that drop its events: gpc, dnt, or none",
    ),
    Setting(
        "STORE_IP",
        _choice("no", "truncated", "full"),
        "no",
        "whether to store visitors' IP addresses: no, truncated (to /24 or /48) or full",
    ),
    Setting(
        "COUNTRY_HEADER",
        _header,
        None,
        "header in which your CDN sends the visitor's country, such as CF-IPCountry; if unset, "
        "no header is trusted",
    ),
    Setting(
        "GEOIP_FILE", Path, None, "file in MaxMind's format that maps IP addresses to countries"
    ),
    Setting(
        "LOG_LEVEL",
        _choice("debug", "info", "warning", "error"),
        "info",
        "debug, info, warning or error",
    ),
    Setting("CONCURRENCY", _positive, "5", "most transactions that one processor has open at once"),
    Setting(
        "BATCH_SIZE",
        _positive,
        "100",
        "start a transaction once this many events wait; sooner when no more arrive",
    ),
    Setting(
        "RETENTION_DAYS",
        _between(0, CENTURY_DAYS),
        "90",
        "days to keep raw events; 0 keeps them forever",
    ),
    Setting(
        "PARTITION_SPAN",
        _choice("auto", "week", "month"),
        "auto",
        "span of one partition or chunk of raw events: week or month; auto is a week up to 366 "
        "days of retention, else a month",
    ),
    Setting(
        "ROLLUP_DIMENSIONS",
        _names,
        "$browser,$os,$device,$country,$referrer,$path,$utm_source,page",
        "comma-separated metadata keys by which counts and people are precomputed; each costs "
        "some ingest speed and disk",
    ),
    Setting(
        "LEDGER_DAYS",
        _between(1, CENTURY_DAYS),
        "7",
        "minimum days to remember the id of an event, whatever its timestamp, so that a repeat "
        "is not counted",
    ),
    Setting(
        "MAX_EVENT_BYTES",
        _between(1024, 10_485_760),
        "262144",
        "bytes of metadata that one event may have, as JSON without blanks; a larger event is "
        "rejected",
    ),
    Setting(
        "MAX_QUEUED_EVENTS",
        _positive,
        "2000000",
        "the collector answers 503 once this many events wait in the queue",
    ),
    Setting(
        "MAX_REDIS_MEMORY",
        _ratio,
        "0.75",
        "the collector answers 503 once Redis uses this share of its maxmemory",
    ),
    Setting(
        "RATE_LIMIT",
        _whole,
        "0",
        "rate limit of a collector: requests a second by one API key, IPv4 address or IPv6 network "
        "of 64 bits; 0 is no limit",
    ),
    Setting(
        "TRUSTED_PROXIES",
        _networks,
        "",
        "comma-separated addresses or networks of the proxies whose X-Real-IP, else "
        "X-Forwarded-For, is trusted",
    ),
    Setting(
        "JOB_TIMEOUT",
        _positive,
        "30",
        "seconds that one transaction may take before it is retried",
    ),
    Setting(
        "SHUTDOWN_DELAY",
        _between(0, 20),
        None,
        "seconds between reporting `not ready` and closing, up to 20; 5 in production, 0 in "
        "development",
    ),
    Setting(
        "DATA_DIR",
        Path,
        None,
        "folder for the data of the embedded servers; by default in the user's data folder",
    ),
)

WEEKLY_UP_TO_DAYS = 366
"""The longest retention for which PARTITION_SPAN=auto is a week."""

SECRETS = ("REDIS_URL", "DATABASE_URL", "DATABASE_REPLICA_URL", "API_KEYS")
"""Settings that may also be given as NAME_FILE, the path of a file that holds the value."""


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


def _text(setting: Setting, env: Mapping[str, str]) -> str | None:
    value = env.get(setting.name)
    if setting.name in SECRETS and (path := env.get(f"{setting.name}_FILE")):
        if value:
            raise ConfigurationError(
                f"{setting.name} and {setting.name}_FILE are both set; keep one", field=setting.name
            )
        try:
            value = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{setting.name}_FILE cannot be read: {error}", field=f"{setting.name}_FILE"
            ) from error
    if setting.name == "ENVIRONMENT":
        value = value or env.get("NODE_ENV")
    return value or setting.default


def _value(setting: Setting, env: Mapping[str, str]) -> Any:
    """What a variable says, typed; None where it is not set and has no default."""
    text = _text(setting, env)
    if text is None:
        return None
    try:
        return setting.read(text)
    except ValueError as error:
        shown = "its value" if setting.name in SECRETS else repr(text)
        raise ConfigurationError(
            f"{setting.name} is wrong ({shown}): {error}", field=setting.name
        ) from error


def data_folder(env: Mapping[str, str] | None = None) -> Path:
    """The folder of the embedded servers: XDG's data folder, or in /var/lib for root.

    Others cannot enter root's home, and the servers run as another user then.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/analytics")
    env = os.environ if env is None else env
    base = env.get("XDG_DATA_HOME") or str(
        Path(env.get("HOME", "~")).expanduser() / ".local" / "share"
    )
    return Path(base) / "analytics"


def is_set(name: str, env: Mapping[str, str] | None = None) -> bool:
    """Whether a variable is set to something."""
    return bool((os.environ if env is None else env).get(name))


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises ConfigurationError for all variables that are wrong."""
    env = os.environ if env is None else env
    values: dict[str, Any] = {}
    faults: list[ConfigurationError] = []
    for setting in SETTINGS:
        try:
            if (value := _value(setting, env)) is not None:
                values[setting.name.lower()] = value
        except ConfigurationError as error:
            faults.append(error)
    _raise_all(faults)
    production = values["environment"] == "production"
    every_address = "0.0.0.0"  # noqa: S104 - of the container's own network
    values.setdefault("host", every_address if production else "127.0.0.1")
    values.setdefault("shutdown_delay", 5 if production else 0)
    values.setdefault("data_dir", data_folder(env))
    return Settings(**values)


def check(settings: Settings, roles: Sequence[str]) -> None:
    """Raises ConfigurationError for all that keeps `roles` from running.

    That is two of them on one port, and in production the variables that they need and lack.
    """
    faults = list(_shared_ports(settings, roles))
    if settings.production:
        faults += _missing(settings, roles)
    _raise_all(faults)


def _shared_ports(settings: Settings, roles: Sequence[str]) -> Iterator[ConfigurationError]:
    for one, other in itertools.combinations(roles, 2):
        if (port := settings.port_of(one, roles)) == settings.port_of(other, roles):
            first, second = f"{one.upper()}_PORT", f"{other.upper()}_PORT"
            message = f"{first} and {second} are both {port}; each role needs a port of its own"
            yield ConfigurationError(message, field=second)


def _missing(settings: Settings, roles: Sequence[str]) -> Iterator[ConfigurationError]:
    for name in dict.fromkeys(name for role in roles for name in NEEDS[role]):
        if not getattr(settings, name.lower()):
            *others, last = (role for role in roles if name in NEEDS[role])
            need = f"{', '.join(others)} and {last} need" if others else f"the {last} needs"
            message = f"{name} is not set, and {need} it in production; set {name} or {name}_FILE"
            yield ConfigurationError(message, field=name)


def _raise_all(faults: Sequence[ConfigurationError]) -> None:
    """One error for all that is wrong, so that nobody mends one fault a start."""
    if faults:
        message = "; ".join(fault.message for fault in faults)
        raise ConfigurationError(message, field=faults[0].field) from faults[0].__cause__
