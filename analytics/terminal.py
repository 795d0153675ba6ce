"""The terminal: all that commands and readable logs show passes here, and reaches it as text.

Names, ids and messages come from anybody who may send events. A character in them that moves the
cursor, changes the direction of text or has no width is shown as its escape.
"""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import click

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of Unicode that a terminal obeys or does not draw: ESC, C1, bidi, zero-width, …"""

DEFAULT_WIDTH = 80
LEAST_WIDTH = 20


def visible(text: str) -> str:
    """The text on one line: ESC becomes `\\x1b`, a line feed `\\n`, a bidi override `\\u202e`."""
    if text.isprintable():
        return text
    return _mapped(text, lambda character: character.encode("unicode_escape").decode())


def visible_json(text: str) -> str:
    """A line of JSON with the same value, in which such characters are `\\u001b` and so on."""
    return text if text.isprintable() else _mapped(text, lambda each: json.dumps(each)[1:-1])


def _mapped(text: str, escape: Callable[[str], str]) -> str:
    return "".join(
        escape(character) if unicodedata.category(character) in _HIDDEN else character
        for character in text
    )


def say(*lines: str, err: bool = False, **style: Any) -> None:
    """Print lines for people, on standard output or standard error, in a style of `click.style`.

    Each argument is one line, whatever is in it.
    """
    for line in lines:
        click.echo(click.style(visible(line), **style), err=err)


def pass_on(data: str, shown: Callable[[str], str] = visible) -> None:
    """Print data that programs may read: unchanged, but on a terminal each line as `shown`."""
    if sys.stdout.isatty():
        data = "\n".join(map(shown, data.split("\n")))
    sys.stdout.write(data if data.endswith("\n") else f"{data}\n")


def width() -> int:
    """Columns that a line may have, at least LEAST_WIDTH.

    COLUMNS says it, else the terminal at the end of a pipe: the one of any standard stream.
    """
    columns, _ = shutil.get_terminal_size((0, 0))
    for stream in (sys.__stderr__, sys.__stdin__):
        if not columns and stream is not None and stream.isatty():
            columns = os.get_terminal_size(stream.fileno()).columns
    return max(columns or DEFAULT_WIDTH, LEAST_WIDTH)
