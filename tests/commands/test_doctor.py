"""`analytics doctor` on a sound platform, on a sick one and on none."""

import re
import socket
from pathlib import Path

import pytest

from analytics.embedded import Valkey, free_port
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
    assert re.search(r"^✗ tables .*analytics migrate", sick.stdout, re.MULTILINE)
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
        assert re.search(rf"^[✓!] {subject} ", sound.stdout, re.MULTILINE), subject
    assert "test-password" not in sound.stdout


def test_the_doctor_names_what_cannot_be_reached_and_hides_passwords() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = analytics("doctor", **NOWHERE, **{**_ports(), "API_PORT": port})
    assert done.returncode == 1
    for subject in ("Redis", "PostgreSQL", "api"):
        assert re.search(rf"^✗ {subject} ", done.stdout, re.MULTILINE), subject
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


def _ports() -> dict[str, str]:
    return {
        f"{role}_PORT": str(free_port()) for role in ("COLLECTOR", "API", "REALTIME", "PROCESSOR")
    }
