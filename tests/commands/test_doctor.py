"""`analytics doctor` on a sound platform, on a sick one and on none."""

import re
import socket
from pathlib import Path

import pytest
from redis import Redis

from analytics.embedded import Valkey, free_port
from analytics.settings import ROLES
from tests.browser import site
from tests.faults.platform import Platform
from tests.servers import temporary_folder
from tests.test_cli import NOWHERE, analytics


def test_the_doctor_finds_a_sound_platform_sound(
    database_url: str, valkey_server: Valkey, tmp_path: Path
) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": valkey_server.url,
        "DATA_DIR": str(tmp_path),
        **_ports(),
    }
    sick = analytics("doctor", **environment)
    assert sick.returncode == 1
    assert re.search(r"^✗ tables .*analytics migrate", sick.stdout, re.M)
    analytics("migrate", **environment)
    sound = analytics("doctor", **environment)
    assert (sound.returncode, sound.stderr) == (0, "")
    assert "✗" not in sound.stdout
    for subject in (
        "Redis",
        "eviction",
        "durability",
        "books",
        "PostgreSQL",
        "tables",
        "keys",
        "retention",
    ):
        assert re.search(rf"^[✓!] {subject} ", sound.stdout, re.M), subject
    assert "test-password" not in sound.stdout


def test_the_doctor_names_what_cannot_be_reached_and_hides_passwords() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = analytics("doctor", **NOWHERE, **{**_ports(), "API_PORT": port})
    assert done.returncode == 1
    for subject in ("Redis", "PostgreSQL", "api"):
        assert re.search(rf"^✗ {subject} ", done.stdout, re.M), subject
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "trusted", "line"),
    [
        ("development", "", "✓ proxies .*TRUSTED_PROXIES is not set"),
        ("production", "", "! proxies .*behind a proxy all visitors are one"),
        ("production", "10.0.0.0/8,fd00::1", "✓ proxies .* of 10.0.0.0/8, fd00::1/128 is"),
        ("production", "0.0.0.0/0", "! proxies .*0.0.0.0/0 is everybody"),
    ],
)
def test_the_doctor_says_whose_word_on_an_address_counts(
    environment: str, trusted: str, line: str
) -> None:
    settings = {"ENVIRONMENT": environment, "TRUSTED_PROXIES": trusted}
    done = analytics("doctor", **NOWHERE, **_ports(), **settings)
    assert re.search(rf"^{line}", done.stdout, re.MULTILINE), done.stdout


PRODUCTION = {
    "ENVIRONMENT": "production",
    "HOST": "127.0.0.1",
    "REDIS_URL": NOWHERE["REDIS_URL"],
}


def found(*words: str, **environment: str) -> dict[str, str]:
    """The mark of each subject of a report."""
    lines = analytics("doctor", *words, **environment).stdout.splitlines()
    return {line[2:].split()[0]: line[0] for line in lines}


@pytest.mark.parametrize(
    ("role", "more", "bad"),
    [
        ("collector", {}, set()),
        ("realtime", {}, set()),
        ("processor", {"DATABASE_URL": NOWHERE["DATABASE_URL"]}, set()),
        ("processor", {}, {"DATABASE_URL"}),
        ("api", {"DATABASE_URL": NOWHERE["DATABASE_URL"]}, {"API_KEYS"}),
        ("api", {"API_KEYS": "k"}, {"DATABASE_URL"}),
    ],
)
def test_settings_are_judged_by_the_role_that_they_are_for(
    role: str, more: dict[str, str], bad: set[str]
) -> None:
    marks = found(f"--role={role}", **PRODUCTION, **_ports(), **more)
    names = {"REDIS_URL", "DATABASE_URL", "API_KEYS"}
    assert {name for name in names if marks.get(name) == "✗"} == bad
    assert not any(marks.get(name) == "!" for name in names)
    assert set(marks) & set(ROLES) == {role}


def test_without_a_role_what_only_some_need_is_remarked_and_what_all_need_is_a_fault() -> None:
    marks = found(**PRODUCTION, **_ports())
    assert (marks["DATABASE_URL"], marks["API_KEYS"]) == ("!", "!")
    assert {marks[role] for role in ROLES} == {"!"}, "a free port is a role that is down"
    alone = found(ENVIRONMENT="production", HOST="127.0.0.1", **_ports())
    assert alone["REDIS_URL"] == "✗"


def test_in_production_a_free_port_means_that_the_role_is_down() -> None:
    port = str(free_port())
    done = analytics("doctor", "--role=collector", **PRODUCTION, PORT=port)
    assert re.search(rf"^✗ collector +nothing listens on port {port} here$", done.stdout, re.M)
    done = analytics("doctor", "--role=collector", **NOWHERE, PORT=port)
    assert re.search(rf"^✓ collector +port {port} is free$", done.stdout, re.M)


def test_a_role_that_runs_is_told_with_its_health(tmp_path: Path) -> None:
    with temporary_folder("doctor") as folder, Platform(folder) as platform:
        role = platform.role("collector")
        environment = {**platform.environment, "PORT": str(role.port)}
        away = {"http_proxy": "http://127.0.0.1:1"}  # it is not asked for what is here
        healthy = analytics("doctor", "--role=collector", **environment, **away)
        assert re.search(rf"^✓ collector +runs on port {role.port}$", healthy.stdout, re.M)
        assert re.search(r"^✓ queue +no event waits$", healthy.stdout, re.M)
        platform.valkey.kill()
        sick = analytics("doctor", "--role=collector", **environment)
        assert re.search(
            rf"^✗ collector +runs on port {role.port} and is not healthy: redis: ",
            sick.stdout,
            re.MULTILINE,
        )


def test_another_role_on_a_roles_port_is_no_sign_that_it_runs(tmp_path: Path) -> None:
    with temporary_folder("doctor-words2") as folder, Platform(folder) as platform:
        role = platform.role("collector")
        environment = {**platform.environment, **_ports(), "API_PORT": str(role.port)}
        named = analytics("doctor", "--role=api", **environment)
        line = rf"^✗ api +the collector answers on its port {role.port}$"
        assert named.returncode == 1
        assert re.search(line, named.stdout, re.M)
        platform.valkey.kill()
        assert re.search(line, analytics("doctor", "--role=api", **environment).stdout, re.M)


def test_a_role_of_a_release_that_does_not_say_which_it_is_runs() -> None:
    """In a rolling deploy."""
    health = b'{"status": "healthy", "version": "1.0.0", "uptime": 7, "checks": {}}'
    with site({"/health": ("application/json", health)}) as url:
        port = url.rpartition(":")[2]
        done = analytics("doctor", "--role=api", **NOWHERE, PORT=port)
    assert re.search(rf"^✓ api +runs on port {port}$", done.stdout, re.M)


def test_a_redis_that_tells_nothing_is_not_said_to_be_safe(
    valkey_server: Valkey, tmp_path: Path
) -> None:
    """As a managed one, which forbids INFO."""
    with Redis.from_url(valkey_server.url) as redis:
        redis.execute_command("ACL SETUSER managed on >managed-password ~* &* +@all -info -config")
    try:
        url = re.sub(r"//[^@]*@", "//managed:managed-password@", valkey_server.url)
        done = analytics("doctor", REDIS_URL=url, DATA_DIR=str(tmp_path), **_ports())
    finally:
        with Redis.from_url(valkey_server.url) as redis:
            redis.execute_command("ACL DELUSER managed")
    assert re.search(r"^✓ Redis +answers, but does not say which", done.stdout, re.M)
    assert re.search(r"^! eviction +Redis does not say", done.stdout, re.M)
    assert re.search(r"^! durability +Redis does not say", done.stdout, re.M)
    assert "noeviction\n" not in done.stdout


def _ports() -> dict[str, str]:
    return {
        f"{role}_PORT": str(free_port()) for role in ("COLLECTOR", "API", "REALTIME", "PROCESSOR")
    }
