"""The command line: a table of commands, and one line on standard error for any failure."""

import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import click

from analytics import __version__
from analytics.errors import AnalyticsError, ConfigurationError, Unavailable, driver_error
from analytics.terminal import say

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A command of the table; its module is imported only when the command is called."""

    target: str
    """`module:attribute` below analytics.commands."""
    help: str
    """Its line in `analytics --help`."""


COMMANDS = {
    "run": Entry("run:run", "Start the platform, or some of its roles."),
    "migrate": Entry("migrate:migrate", "Update the database's tables to this release."),
    "projects": Entry("projects:projects", "Create and list projects."),
    "keys": Entry("keys:keys", "Create, list and revoke API keys."),
    "import": Entry("import_:import_", "Import events from NDJSON or CSV files."),
    "dead-letters": Entry(
        "dead_letters:dead_letters", "List, replay and purge events that could not be stored."
    ),
    "losses": Entry("losses:losses", "Show and acknowledge a loss of acknowledged events."),
    "people": Entry("people:people", "Take people apart who were joined wrongly."),
    "query": Entry("query:query", "Ask the api a question and show the answer."),
    "rebuild": Entry(
        "rollups:rebuild_command",
        "Recompute the rollups (precomputed counts and people) from raw events.",
    ),
    "verify": Entry(
        "rollups:verify_command",
        "Compare rollups and packed days with raw events.",
    ),
    "doctor": Entry("doctor:doctor", "Check what is configured, reachable and durable."),
}

SERVERS = {
    "redis": "Redis (REDIS_URL)",
    "asyncpg": "PostgreSQL (DATABASE_URL)",
    "sqlalchemy": "PostgreSQL (DATABASE_URL)",
}
"""The server that failed, by the library that raised the exception."""


class Commands(click.Group):
    """Imports a command only when it is called: `--help` and the other commands stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name, _, attribute = COMMANDS[cmd_name].target.partition(":")
        module = importlib.import_module(f"analytics.commands.{name}")
        command: click.Command = getattr(module, attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="analytics", message="%(prog)s %(version)s")
def cli() -> None:
    """Self-hosted event analytics. Settings come from the environment; see
    docs/configuration.md.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit.

    Exit status: 0, or 1 when it failed, 2 for wrong usage or configuration, 130 when interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is by itself
    words = sys.argv[1:] if arguments is None else arguments
    try:
        for word in words:
            _check_text(word)
        status = cli.main(words, "analytics", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = error.exit_code
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        joint = " See" if message.endswith("?") else "; see"
        see = f"{joint} `{error.ctx.command_path} --help`" if error.ctx else ""
        status = _complain(message + see, error.exit_code)
    except click.ClickException as error:
        status = _complain(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more would spoil the exit status
        status = _complain("interrupted", 130)
    except BrokenPipeError:
        # the reader of our output (`| head`) has left: throw away what is still to be flushed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        log.debug("the command failed", exc_info=error)
        line = explain(error)
        if line is None:
            raise
        status = _complain(line, 2 if isinstance(error, ConfigurationError) else 1)
    sys.exit(status)


def _check_text(word: str) -> None:
    """Raises UsageError for an argument that is no text, unless it names a file that exists."""
    try:
        word.encode()
    except UnicodeEncodeError as error:
        if not os.path.exists(word):
            raise click.UsageError(f"{word} is not UTF-8") from error


def explain(error: Exception) -> str | None:
    """One line for an expected failure; None for a bug, which needs its traceback."""
    if isinstance(error, Unavailable):
        return f"{error.message}; `analytics doctor` tells more"
    if isinstance(error, AnalyticsError):
        return error.message
    for kind in type(error).__mro__:
        if server := SERVERS.get(kind.__module__.partition(".")[0]):
            return f"{server} failed: {driver_error(error)}; `analytics doctor` tells more"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError):
        return (
            f"{error.strerror or error}; "
            "`analytics doctor` tells whether the servers can be reached"
        )
    return None


def _complain(message: str, status: int) -> int:
    from analytics.logs import hide_secrets

    say(f"analytics: {hide_secrets(' '.join(message.split()))}", err=True)
    return status
