"""One reading of the environment names all that keeps us from starting."""

import os
from pathlib import Path

import pytest

from analytics.errors import ConfigurationError
from analytics.settings import ROLES, load


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"API_PORT": "four", "BOTS": "shoot", "REDIS_URL_FILE": str(tmp_path / "no")})
    for said in ("API_PORT is wrong", "BOTS is wrong", "REDIS_URL_FILE cannot be read"):
        assert said in caught.value.message
    assert caught.value.field == "API_PORT"


def test_node_env_counts_when_environment_is_absent() -> None:
    assert load({"NODE_ENV": "production"}).production
    assert not load({"NODE_ENV": "production", "ENVIRONMENT": "development"}).production


def test_production_listens_everywhere_and_waits_before_it_closes() -> None:
    development, production = load({}), load({"ENVIRONMENT": "production"})
    assert (development.host, development.shutdown_delay) == ("127.0.0.1", 0)
    assert (production.host, production.shutdown_delay) == ("0.0.0.0", 5)  # noqa: S104 - compared


def test_data_goes_to_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert load({"HOME": "/home/ada"}).data_dir == Path("/home/ada/.local/share/analytics")
    assert load({"HOME": "/home/ada", "XDG_DATA_HOME": "/x"}).data_dir == Path("/x/analytics")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert load({"HOME": "/root"}).data_dir == Path("/var/lib/analytics")


def said(env: dict[str, str]) -> list[str]:
    """The parts of the one error with which a start of all roles ends."""
    with pytest.raises(ConfigurationError) as caught:
        load(env, ROLES)
    return caught.value.message.split("; ")


def test_what_is_wrong_missing_and_misspelt_is_said_at_once() -> None:
    assert said(
        {
            "ENVIRONMENT": "production",
            "BOTS": "shoot",
            "DATABASE_URL": "mysql://db",
            "REALTIME_PORT": "4001",
            "REDIS_URI": "redis://redis",
        }
    ) == [
        "DATABASE_URL is wrong (its value): must begin with postgresql://",
        "BOTS is wrong ('shoot'): must be one of drop, mark, keep",
        "COLLECTOR_PORT and REALTIME_PORT are both 4001",
        "each role needs a port of its own",
        "REDIS_URL is not set, and collector, api, realtime and processor need it in production",
        "set REDIS_URL or REDIS_URL_FILE",
        "API_KEYS is not set, and the api needs it in production",
        "set API_KEYS or API_KEYS_FILE",
        "REDIS_URI is set, but is no setting",
        "did you mean REDIS_URL?",
    ]


def test_of_a_wrong_environment_what_production_lacks_is_said_too() -> None:
    parts = said({"ENVIRONMENT": "prod", "REDIS_URL": "redis://redis", "API_KEYS": "k"})
    assert [part.partition(" ")[0] for part in parts] == ["ENVIRONMENT", "DATABASE_URL", "set"]


def test_what_is_wrong_is_neither_missing_nor_compared() -> None:
    parts = said({"API_PORT": "four", "COLLECTOR_PORT": "4002", "REDIS_URL": "http://redis"})
    assert parts == [
        "API_PORT is wrong ('four'): must be a whole number, 1 to 65535",
        "REDIS_URL is wrong (its value): must begin with redis://",
        "DATABASE_URL is not set, and api and processor need it",
        "with REDIS_URL unset too, analytics starts its own servers",
    ]
