"""The command line: exit statuses, one line for each failure, quick help."""

import importlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from analytics import __version__, cli
from analytics.embedded import free_port
from tests.test_docs import commands

NOWHERE = {
    "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    "DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x",
}


def analytics(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell would, with only these settings in its environment."""
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")
    }
    command = [sys.executable, "-m", "analytics", *arguments]
    return subprocess.run(
        command, env={**kept, **environment}, capture_output=True, text=True, timeout=60
    )


def complaint(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The one line that a failure leaves on standard error."""
    assert (done.returncode, done.stdout) == (status, ""), done
    assert re.fullmatch(r"analytics: [^\n]+\n", done.stderr), done.stderr
    assert "hunter2" not in done.stderr
    return done.stderr


def test_every_command_of_the_table_exists_and_has_help() -> None:
    context = click.Context(cli.cli)
    for name, entry in cli.COMMANDS.items():
        command = cli.cli.get_command(context, name)
        assert isinstance(command, click.Command)
        assert command.help
        assert entry.help.endswith(".")


def _leaves(command: click.Command) -> Iterator[click.Command]:
    """The commands below a group, or the command itself."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), name)
            assert child is not None
            yield from _leaves(child)
    else:
        yield command


def test_help_shows_a_form_of_each_value_as_it_can_be_typed() -> None:
    named = (click.STRING, click.INT, click.FLOAT)  # TEXT and INTEGER say enough
    for command in _leaves(cli.cli):
        for option in command.params:
            if isinstance(option, click.Option) and not option.is_flag:
                plain = option.type in named or isinstance(
                    option.type, click.Choice | click.Path | click.IntRange
                )
                assert plain or option.metavar, (command.name, option.name)


def test_help_lists_the_commands_without_importing_them() -> None:
    code = (
        "import sys\n"
        "from analytics.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = ('analytics.commands', 'starlette', 'sqlalchemy', 'redis')\n"
        "sys.exit(str([name for name in sys.modules if name.startswith(slow)] or '') or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in cli.COMMANDS)


def test_an_import_loads_no_stores() -> None:
    """They take as long to load as all else that it needs."""
    code = (
        "import sys\n"
        "from analytics.cli import main\n"
        "try: main(['import', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(str([name for name in sys.modules if name.startswith('analytics.stores')]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "[]\n"
    assert "--restart" in done.stdout


def test_the_version_is_the_packages() -> None:
    assert analytics("--version").stdout == f"analytics {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [(["fly"], "fly"), (["run", "--role=cook"], "cook"), (["run", "--fast"], "--fast")],
)
def test_wrong_usage_is_one_line_and_exit_status_2(arguments: list[str], names: str) -> None:
    line = complaint(analytics(*arguments), 2)
    assert names in line
    assert "--help" in line


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["quer"], "Did you mean 'query'? See `analytics --help`"),
        (["keys", "lst"], "Did you mean 'list'? See `analytics keys --help`"),
        (["run", "--rol"], "Did you mean '--role'? See `analytics run --help`"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(arguments: list[str], meant: str) -> None:
    assert meant in complaint(analytics(*arguments), 2)


def test_h_is_help_everywhere() -> None:
    runner = CliRunner()
    for words in [[], ["keys"], *([*path] for path, _ in commands())]:
        done = runner.invoke(cli.cli, [*words, "-h"])
        assert (done.exit_code, done.output[:6]) == (0, "Usage:"), words


def test_an_argument_that_is_no_text_is_named(tmp_path: Path) -> None:
    assert r"\udcff is not UTF-8" in complaint(analytics("projects", "create", "\udcff"), 2)


def test_a_file_is_named_without_a_word_about_servers() -> None:
    assert cli.explain(OSError(36, "File name too long", "x")) == "x: File name too long"
    assert "servers" in (cli.explain(OSError(113, "No route to host")) or "")


@pytest.mark.parametrize("role", ["collector", "processor", "api", "realtime"])
def test_production_without_redis_names_the_variable(role: str) -> None:
    assert "set REDIS_URL or REDIS_URL_FILE" in complaint(
        analytics("run", f"--role={role}", ENVIRONMENT="production", DATABASE_URL="postgresql://x"),
        2,
    )


def test_production_without_keys_names_the_variable() -> None:
    assert "API_KEYS is not set" in complaint(
        analytics("run", "--role=api", ENVIRONMENT="production", **NOWHERE), 2
    )


@pytest.mark.parametrize(
    ("given", "missing"), [("REDIS_URL", "DATABASE_URL"), ("DATABASE_URL", "REDIS_URL")]
)
def test_development_with_one_of_two_servers_names_the_other(
    given: str, missing: str, tmp_path: Path
) -> None:
    line = complaint(
        analytics(
            "run",
            "--role=processor",
            DATA_DIR=str(tmp_path),
            PROCESSOR_PORT=str(free_port()),
            **{given: NOWHERE[given]},
        ),
        2,
    )
    assert f"{missing} is not set" in line
    assert given in line


def test_a_wrong_setting_is_named() -> None:
    assert "BATCH_SIZE is wrong ('many')" in complaint(analytics("migrate", BATCH_SIZE="many"), 2)


def test_a_port_in_use_names_role_port_and_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        line = complaint(
            analytics("run", "--role=collector", COLLECTOR_PORT=port, DATA_DIR=str(tmp_path)), 1
        )
    assert all(word in line for word in ("collector", port, "COLLECTOR_PORT"))
    assert not any(tmp_path.iterdir())  # no server was started for it


def test_a_host_that_is_none_of_ours_is_named(tmp_path: Path) -> None:
    line = complaint(
        analytics("run", "--role=collector", HOST="192.0.2.1", DATA_DIR=str(tmp_path)), 1
    )
    assert "192.0.2.1" in line
    assert "set HOST" in line


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = complaint(
        analytics(
            "run",
            "--role=collector",
            COLLECTOR_PORT=str(free_port()),
            DATA_DIR=str(tmp_path / "file" / "below"),
        ),
        1,
    )
    assert str(tmp_path / "file" / "below") in line


INTERRUPTED = """
import os, signal
from analytics import cli
from analytics.commands.migrate import migrate

class LastThingToGo:
    def __del__(self, kill=os.kill, pid=os.getpid(), sig=signal.SIGINT):
        kill(pid, sig)

def interrupted():
    raise KeyboardInterrupt

last = LastThingToGo()
migrate.callback = interrupted
cli.main(["migrate"])
"""


def test_ctrl_c_while_an_interrupted_command_ends_does_not_spoil_its_status() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (130, "analytics: interrupted")


@pytest.mark.parametrize(
    "arguments",
    [
        "migrate",
        "projects list",
        "keys revoke 1",
        "import {file}",
        "dead-letters list",
        "dead-letters replay 1",
        "verify",
    ],
)
def test_a_server_out_of_reach_is_one_line_that_says_what_to_do(
    arguments: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("{}\n")
    done = analytics(*arguments.format(file=file).split(), DATA_DIR=str(tmp_path), **NOWHERE)
    assert "`analytics doctor`" in complaint(done, 1)


def test_an_unexpected_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(
        importlib.import_module("analytics.commands.migrate").migrate, "callback", broken
    )
    with pytest.raises(ZeroDivisionError):
        cli.main(["migrate"])
