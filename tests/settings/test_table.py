"""Every setting is read, named when it is wrong, and found in a file when it is a secret."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from analytics import settings
from analytics.errors import ConfigurationError

READ: dict[str, tuple[str, Any]] = {
    "ENVIRONMENT": ("production", "production"),
    "HOST": ("10.0.0.1", "10.0.0.1"),
    "PORT": ("8080", 8080),
    "COLLECTOR_PORT": ("1", 1),
    "API_PORT": ("65535", 65535),
    "REALTIME_PORT": ("5003", 5003),
    "PROCESSOR_PORT": ("5004", 5004),
    "REDIS_URL": ("rediss://:p:w@redis:6379/1", "rediss://:p:w@redis:6379/1"),
    "DATABASE_URL": ("postgres://u:p@db/analytics", "postgres://u:p@db/analytics"),
    "DATABASE_REPLICA_URL": (
        "postgres://u:p@replica/analytics",
        "postgres://u:p@replica/analytics",
    ),
    "API_KEYS": ("a, b,,c\nd", ("a", "b", "c", "d")),
    "REQUIRE_WRITE_KEY": ("Yes", True),
    "CORS_ORIGINS": (
        "https://A.example/,http://b.example:81, *,Null",
        ("https://a.example", "http://b.example:81", "*", "null"),
    ),
    "API_CORS_ORIGINS": ("https://München.example:443/", ("https://xn--mnchen-3ya.example",)),
    "TRACKER_PATHS": ("/js/app.js, /js/in", ("/js/app.js", "/js/in")),
    "BOTS": ("Mark", "mark"),
    "HONOR_SIGNALS": ("GPC", ("gpc",)),
    "STORE_IP": ("truncated", "truncated"),
    "COUNTRY_HEADER": ("CF-IPCountry", "cf-ipcountry"),
    "GEOIP_FILE": ("/geo/country.mmdb", Path("/geo/country.mmdb")),
    "LOG_LEVEL": ("DEBUG", "debug"),
    "CONCURRENCY": ("10", 10),
    "BATCH_SIZE": ("500", 500),
    "RETENTION_DAYS": ("0", 0),
    "PARTITION_SPAN": ("month", "month"),
    "ROLLUP_DIMENSIONS": ("page, plan", ("page", "plan")),
    "LEDGER_DAYS": ("30", 30),
    "MAX_EVENT_BYTES": ("65536", 65_536),
    "MAX_QUEUED_EVENTS": ("1000", 1000),
    "MAX_REDIS_MEMORY": ("0.5", 0.5),
    "RATE_LIMIT": ("50", 50),
    "TRUSTED_PROXIES": ("10.0.0.0/8", (ip_network("10.0.0.0/8"),)),
    "JOB_TIMEOUT": ("60", 60),
    "SHUTDOWN_DELAY": ("1", 1),
    "DATA_DIR": ("/data", Path("/data")),
}

WRONG = {
    "ENVIRONMENT": "staging",
    "PORT": "70000",
    "COLLECTOR_PORT": "0",
    "API_PORT": "four",
    "REDIS_URL": "http://redis",
    "DATABASE_URL": "mysql://db",
    "REQUIRE_WRITE_KEY": "perhaps",
    "API_CORS_ORIGINS": "board.example",
    "BOTS": "shoot",
    "HONOR_SIGNALS": "gpc,p3p",
    "STORE_IP": "half",
    "COUNTRY_HEADER": "CF IPCountry",
    "LOG_LEVEL": "loud",
    "CONCURRENCY": "0",
    "BATCH_SIZE": "-1",
    "RETENTION_DAYS": "-1",
    "PARTITION_SPAN": "day",
    "LEDGER_DAYS": "0",
    "MAX_EVENT_BYTES": "1023",
    "MAX_REDIS_MEMORY": "1.5",
    "RATE_LIMIT": "1.5",
    "TRUSTED_PROXIES": "10.0.0.1/8",
}


def test_the_table_below_knows_every_setting() -> None:
    assert set(READ) == {setting.name for setting in settings.SETTINGS}


@pytest.mark.parametrize("name", READ)
def test_a_setting_is_read(name: str) -> None:
    text, value = READ[name]
    assert getattr(settings.load({name: text}), name.lower()) == value


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        settings.load({name: WRONG[name]})
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("CORS_ORIGINS", "shop.example", "as in https://example.com"),
        (
            "CORS_ORIGINS",
            "https://a.example,https://b.example/path",
            "https://b.example/path is not an origin",
        ),
        ("RETENTION_DAYS", "36501", "0 to 36500"),
        ("DATA_DIR", "/data/a\nb", "can be printed"),
        ("DATA_DIR", "/data/\udcff", "can be printed"),
        ("SHUTDOWN_DELAY", "21", "0 to 20"),
        ("PORT", "0", "1 to 65535"),
        ("CONCURRENCY", "0", "at least 1"),
        ("API_PORT", "four", "API_PORT is wrong ('four'): must be a whole number, 1 to 65535"),
        ("BATCH_SIZE", "1e3", "must be a whole number, at least 1"),
        ("RATE_LIMIT", "1_000", "must be a whole number, at least 0"),
        ("LEDGER_DAYS", "9" * 5000, "must be a whole number, 1 to 36500"),
        ("MAX_REDIS_MEMORY", "half", "must be a number above 0 and at most 1"),
        ("MAX_REDIS_MEMORY", "nan", "must be a number above 0 and at most 1"),
    ],
)
def test_a_wrong_value_is_told_what_it_may_be(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        settings.load({name: text})


@pytest.mark.parametrize("name", [setting.name for setting in settings.SETTINGS])
def test_an_empty_variable_is_an_absent_one(name: str) -> None:
    assert settings.load({name: "", "HOME": "/h"}) == settings.load({"HOME": "/h"})


def test_the_defaults_of_the_struct_are_those_of_the_table() -> None:
    loaded = settings.load({"HOME": "/h"})
    assert settings.Settings(data_dir=loaded.data_dir) == loaded


@pytest.mark.parametrize("name", settings.SECRETS)
def test_a_secret_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    text, value = READ[name]
    path = tmp_path / "secret"
    path.write_text(f"{text}\n")
    assert getattr(settings.load({f"{name}_FILE": str(path)}), name.lower()) == value


@pytest.mark.parametrize("name", settings.SECRETS)
def test_a_secret_given_twice_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    with pytest.raises(ConfigurationError, match=f"{name} and {name}_FILE"):
        settings.load({name: READ[name][0], f"{name}_FILE": str(path)})


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL_FILE cannot be read") as caught:
        settings.load({"DATABASE_URL_FILE": str(tmp_path / "none")})
    assert caught.value.field == "DATABASE_URL_FILE"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "pg://me:hunter2@db"),
        ("DATABASE_URL", "postgresql://me:hunter2#x@db/analytics"),
        ("DATABASE_URL", "postgresql://me:hunter2@db,db2:port/analytics"),
        ("REDIS_URL", "redis://:hunter2@redis:port/0"),
        ("REDIS_URL", "redis://:hunter2#x@redis:6379/0"),
        ("REDIS_URL", "redis://:hunter2@redis:70000/0"),
        ("REDIS_URL", "redis://:hunter2@[::1/0"),
    ],
)
def test_a_wrong_secret_is_named_and_not_shown(name: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is wrong") as caught:
        settings.load({name: url})
    assert "hunter2" not in caught.value.message
