"""A variable that is nearly a setting is named, and one that only sounds like one is not."""

import pytest

from analytics.settings import misspelt


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REDIS_URI", "REDIS_URL"),
        ("DATABASE_ULR", "DATABASE_URL"),
        ("API_KEY", "API_KEYS"),
        ("RETENTION_DAY", "RETENTION_DAYS"),
        ("RETENSION_DAYS", "RETENTION_DAYS"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("DATADIR", "DATA_DIR"),
        ("API_PROT", "API_PORT"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("API_KEY_FILE", "API_KEYS_FILE"),
        ("NODE_EVN", "NODE_ENV"),
        ("ENVIROMENT", "ENVIRONMENT"),
        ("redis_url", "REDIS_URL"),
        ("ANALYTICS_RETENTION_DAYS", "RETENTION_DAYS"),
        ("ANALYTICS_PORT", "PORT"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(name: str, meant: str) -> None:
    said = list(misspelt({name: "hunter2", "PATH": "/bin"}))
    assert said == [f"{name} is set, but is no setting; did you mean {meant}?"]


@pytest.mark.parametrize(
    "name",
    [
        *("REDIS_HOST", "REDIS_PORT", "REDIS_TLS_URL", "DATABASE_HOST", "DATABASE_NAME"),
        *("TEST_DATABASE_URL", "POSTGRES_URL", "API_HOST", "API_TOKEN", "API_SERVICE_PORT"),
        *("COLLECTOR_PORT_4001_TCP", "COLLECTOR_SERVICE_HOST", "REALTIME_SERVICE_PORT"),
        *("HOSTNAME", "HOSTS", "PORTS", "BOT", "WEB_CONCURRENCY", "XDG_DATA_DIRS", "XDG_DATA_HOME"),
        *("LOGNAME", "LOG_FILE", "NODE_OPTIONS", "ENV", "ANALYTICS_ID", "ANALYTICS_URL"),
    ],
)
def test_a_variable_of_another_program_is_not_taken_for_a_mistake(name: str) -> None:
    assert list(misspelt({name: "x"})) == []


def test_a_variable_beside_the_setting_itself_is_another_programs() -> None:
    assert list(misspelt({"API_KEY": "x", "API_KEYS": "y"})) == []
    assert len(list(misspelt({"API_KEY": "x", "API_KEYS": ""}))) == 1


def test_all_settings_and_their_files_are_known() -> None:
    assert list(misspelt({"REDIS_URL": "x", "API_KEYS_FILE": "y", "NODE_ENV": "z"})) == []
