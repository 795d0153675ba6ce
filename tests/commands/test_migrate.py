"""`analytics migrate` says what it did, or what it needs."""

from pathlib import Path

from tests.test_cli import NOWHERE, analytics, complaint


def test_migrate_without_a_database_says_what_to_set(tmp_path: Path) -> None:
    line = complaint(analytics("migrate", DATA_DIR=str(tmp_path)), 2)
    assert "DATABASE_URL is not set" in line
    assert "set DATABASE_URL, or start one" in line


def test_migrate_says_what_it_did(database_url: str) -> None:
    first, second = (
        analytics("migrate", DATABASE_URL=database_url, REDIS_URL=NOWHERE["REDIS_URL"])
        for _ in range(2)
    )
    assert (first.returncode, second.returncode, first.stderr + second.stderr) == (0, 0, "")
    assert first.stdout.startswith("migrated from an empty database to ")
    assert second.stdout.startswith("nothing to do: the tables are at ")
