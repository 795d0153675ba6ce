"""The servers that a command needs: one line where they are missing or empty."""

from pathlib import Path

import pytest

from tests.commands.shell import Run, command, complaint
from tests.test_docs import commands


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


OF_A_PROJECT = {
    "dead-letters list": (),
    "import": ("/dev/null",),
    "keys create": ("--scope", "ingest"),
    "people split": ("ada", "--yes"),
    "rebuild": (),
    "verify": (),
}
"""Commands that take --project, and what else they need."""


def test_no_command_with_a_project_is_forgotten_above() -> None:
    assert {
        " ".join(path)
        for path, command in commands()
        if any("--project" in option.opts for option in command.params)
    } == OF_A_PROJECT.keys()


@pytest.mark.parametrize("words", OF_A_PROJECT)
def test_a_project_that_does_not_exist_is_no_empty_one(words: str, analytics: Run) -> None:
    more = OF_A_PROJECT[words]
    line = complaint(analytics(*words.split(), *more, "--project", "nope", status=1))
    assert "there is no project nope; `analytics projects " in line


@pytest.mark.parametrize("words", ["dead-letters list", "import", "rebuild", "verify"])
def test_a_project_that_was_meant_is_named_and_one_without_events_is_empty(
    words: str, analytics: Run
) -> None:
    analytics("projects", "create", "shop")
    command = (*words.split(), *OF_A_PROJECT[words])
    line = complaint(analytics(*command, "--project", "shpo", status=1))
    assert line == "analytics: there is no project shpo; did you mean shop?\n"
    for name in ("shop", "default"):
        assert analytics(*command, "--project", name)
