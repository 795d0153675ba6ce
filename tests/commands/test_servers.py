"""The servers that a command needs: one line where they are missing or empty."""

from pathlib import Path

import pytest

from tests.commands.shell import command, complaint


@pytest.mark.parametrize(
    "arguments", [["keys", "list"], ["projects", "list"], ["keys", "create", "--scope", "ingest"]]
)
def test_without_servers_the_one_line_says_what_to_do(arguments: list[str], tmp_path: Path) -> None:
    line = complaint(command({"DATA_DIR": str(tmp_path)})(*arguments, status=2))
    assert "DATABASE_URL" in line
    assert "analytics run" in line


def test_without_tables_the_one_line_says_what_to_do(database_url: str, tmp_path: Path) -> None:
    assert "analytics migrate" in complaint(
        command({"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)})("keys", "list", status=1)
    )
