"""Odd arguments: an exit status of 0, 1 or 2 and one line that says why, never a traceback."""

import random
import re
from collections.abc import Iterator

import click
import pytest

from tests import forking
from tests.examples import share
from tests.faults.platform import Platform
from tests.servers import temporary_folder
from tests.test_docs import commands

ODD = (
    "",
    "-",
    "--",
    "-x",
    "-1",
    "--no-such-option",
    "no-such-thing",
    "99999999999999999999999999",
    "-9223372036854775809",
    "1e309",
    "NaN",
    "9999-12-31",
    "0001-01-01",
    "2026-13-45",
    "99999d",
    "\x1b[2J\u202e",
    "日本語",
    "a\nb",
    "a\tb",
    "a\\b",
    "'; DROP TABLE raw_events; --",
    "%s%n{}$(x)",
    "trends?event=%",
    "openapi.json",
    "/",
    "/dev/null",
    "/no/such/file",
    "x" * 5_000,
    "http://[::1",
    "http://127.0.0.1:1",
    "http://127.0.0.1:99999",
    "https://",
    "\udcff",
)
WHOLE = {
    "keys create": ("--scope", "ingest"),
    "keys revoke": ("1",),
    "projects create": ("a",),
    "import": ("/dev/null",),
    "dead-letters replay": ("1",),
    "dead-letters purge": ("1", "--yes"),
    "query": ("trends",),
    "run": ("--role", "cook"),
}
"""Arguments that make a command whole, so that an odd option is looked at; `run` must not run."""
LEAK = re.compile(r"Traceback|sqlalche|SELECT |INSERT |<class|object at 0x|codec")
"""What is ours to read, not the user's."""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Of a platform with an api."""
    with (
        temporary_folder("arguments") as folder,
        Platform(folder, DATA_DIR=str(folder / "data")) as platform,
    ):
        yield {**platform.environment, "API_PORT": str(platform.role("api").port)}


def lines_of(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
    """Odd words alone, each option without a value and with some of them, random lines of both."""
    name = " ".join(path)
    dice = random.Random(name)
    whole = WHOLE.get(name, ())
    options = [each for option in command.params for each in option.opts if each[0] == "-"]
    yield ()
    yield from ((word,) for word in dice.sample(ODD, share(len(ODD))))
    for option in options:
        yield *whole, option
        yield from ((*whole, option, word) for word in dice.sample(ODD, share(12)))
    for _ in range(share(24)):
        yield tuple(dice.choices([*ODD, *options], k=dice.randrange(2, 6)))


COMMANDS = {" ".join(path): (path, command) for path, command in commands()}


@pytest.mark.parametrize(("path", "command"), COMMANDS.values(), ids=COMMANDS)
def test_no_argument_is_a_traceback(
    path: tuple[str, ...], command: click.Command, environment: dict[str, str]
) -> None:
    for words in lines_of(path, command):
        if path == ("run",) and set(words) <= {"--"}:
            continue  # it would run until it is ended
        done = forking.run(*path, *words, env=environment)
        assert LEAK.search(done.stderr) is None, (words, done.stderr)
        assert done.returncode in (0, 1, 2), (words, done)
        if done.returncode and path != ("doctor",):
            last = done.stderr.splitlines(keepends=True)[-1]
            assert re.fullmatch(r"analytics: [^\n]+\n", last), (words, done)
