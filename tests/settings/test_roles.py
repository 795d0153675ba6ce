"""A role that cannot run says what it lacks, and two on one port are both named."""

import pytest

from analytics.errors import ConfigurationError
from analytics.settings import NEEDS, ROLES, load
from tests.settings.test_table import READ


@pytest.mark.parametrize(
    ("role", "name"), [(role, name) for role, names in NEEDS.items() for name in names]
)
def test_production_names_what_a_role_lacks(role: str, name: str) -> None:
    given = {other: READ[other][0] for other in NEEDS[role] if other != name}
    with pytest.raises(
        ConfigurationError, match=f"{name} is not set, and the {role} needs it"
    ) as caught:
        load({"ENVIRONMENT": "production", **given}, [role])
    assert caught.value.field == name


def test_all_that_production_lacks_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"ENVIRONMENT": "production"}, ROLES)
    said = caught.value.message.split("; ")
    assert said[0] == (
        "REDIS_URL is not set, and collector, api, realtime and processor need it in production"
    )
    for name in ("REDIS_URL", "DATABASE_URL", "API_KEYS"):
        assert caught.value.message.count(f"{name} is not set") == 1
        assert f"set {name} or {name}_FILE" in said


def test_two_roles_on_one_port_are_both_named() -> None:
    ports = {"API_PORT": "4001", "REALTIME_PORT": "4001"}
    with pytest.raises(ConfigurationError, match="COLLECTOR_PORT and API_PORT are both 4001"):
        load(ports, ["collector", "api"])
    with pytest.raises(ConfigurationError) as caught:
        load(ports, ROLES)
    assert caught.value.message.count("are both 4001") == 3
    load(ports, ["api"])
    load({"PORT": "4001"}, ["api"])


@pytest.mark.parametrize("name", ["REDIS_URL", "DATABASE_URL"])
def test_outside_production_roles_need_both_servers_or_none(name: str) -> None:
    other = {"REDIS_URL": "DATABASE_URL", "DATABASE_URL": "REDIS_URL"}[name]
    load({}, ROLES)
    with pytest.raises(ConfigurationError, match=f"with {name} unset too") as caught:
        load({name: READ[name][0]}, ROLES)
    assert caught.value.field == other
    assert "API_KEYS" not in caught.value.message
