"""docker-compose.yml, as Docker Compose reads it."""

from typing import Any

import pytest

from tests.deploy.shipped import SECRETS, compose, compose_resolved, read

GIVEN = {name: f"secret{number}" for number, name in enumerate(SECRETS)}
ROLES = ("collector", "processor", "api", "realtime")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    by_name: dict[str, Any] = compose_resolved(**GIVEN)["services"]
    return by_name


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "GRAFANA_PASSWORD"])
def test_without_a_secret_nothing_starts_and_the_refusal_names_it(name: str) -> None:
    with pytest.raises(
        AssertionError, match=rf"{name} is missing a value: set it in .env, see .env.example"
    ):
        compose_resolved(**{key: value for key, value in GIVEN.items() if key != name})


def test_no_secret_stands_in_the_files() -> None:
    example = dict(
        line.split("=", 1)
        for line in read(".env.example").splitlines()
        if line and not line.startswith("#")
    )
    assert {name: example[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "KEYS" in name:
                assert str(value).startswith("${"), name


def test_a_secret_reaches_only_who_needs_it(services: dict[str, Any]) -> None:
    told = {
        secret: {
            name
            for name, service in services.items()
            if GIVEN[secret] in str(service.get("environment"))
        }
        for secret in SECRETS
    }
    assert told == {
        "POSTGRES_PASSWORD": {"database", "postgres"},
        "OWNER_PASSWORD": {"database", "migrate", "processor"},
        "READER_PASSWORD": {"database", "api", "grafana"},
        "API_KEYS": {"api", "realtime"},
        "GRAFANA_PASSWORD": {"grafana"},
    }


def test_only_nginx_can_be_reached_from_outside(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"nginx", "grafana"}
    assert [port["target"] for port in published["nginx"]] == [443]
    assert {port["host_ip"] for port in published["grafana"]} == {"127.0.0.1"}


def test_redis_loses_and_evicts_nothing(services: dict[str, Any]) -> None:
    command = " ".join(services["redis"]["command"])
    for words in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert words in command


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    for name, service in services.items():
        image = service["image"]
        assert (
            image == "analytics:latest"
            or image.rpartition(":")[2][0].isdigit()
            or image.rpartition(":")[2].startswith("v")
        ), (name, image)
        assert image.startswith("analytics:") or "latest" not in image


def test_the_roles_wait_for_the_migration_and_the_migration_for_the_accounts(
    services: dict[str, Any],
) -> None:
    assert (
        services["migrate"]["depends_on"]["database"]["condition"]
        == "service_completed_successfully"
    )
    for role in ("processor", "api"):
        assert (
            services[role]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        )


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_little_and_has_time_to_end(services: dict[str, Any], role: str) -> None:
    service = services[role]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["stop_grace_period"] == "45s"
    assert service["command"] == ["run", f"--role={role}"]
    assert service["image"] == "analytics:latest", "one image"


def test_every_file_that_is_mounted_exists(services: dict[str, Any]) -> None:
    from pathlib import Path

    for service in services.values():
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind" and "/tls/" not in volume["source"]:
                assert Path(volume["source"]).exists(), volume["source"]
