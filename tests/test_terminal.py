"""What reaches a terminal is text: nothing in it moves the cursor, turns the text or hides."""

import ast
import json
import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import terminal
from analytics.terminal import pass_on, say, visible, visible_json, width
from tests.examples import examples

PACKAGE = Path(__file__).parents[1] / "analytics"


def is_hidden(character: str) -> bool:
    """Whether a terminal obeys a character, or shows nothing for it."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Zoë 日本 é 👍🏽", "plain Zoë 日本 é 👍🏽"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\r\n\tb\x00\x7f", r"a\r\n\tb\x00\x7f"),
        ("invoice\u202efdp.exe\u2066", r"invoice\u202efdp.exe\u2066"),
        ("a\u200bb\u200d\ufeff\xad\u2028", r"a\u200bb\u200d\ufeff\xad\u2028"),
        ("\U000e0041", r"\U000e0041"),
        ("\udc9b", r"\udc9b"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


@given(st.text())
@examples(300)
def test_no_text_keeps_a_hidden_character_and_json_keeps_its_value(text: str) -> None:
    assert not any(map(is_hidden, visible(text)))
    line = json.dumps(text, ensure_ascii=False)
    assert not any(map(is_hidden, visible_json(line)))
    assert json.loads(visible_json(line)) == text


def test_each_argument_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo", "three", err=True, bold=True)
    assert capsys.readouterr().err.splitlines() == [r"one\ntwo", "three"]


def test_data_is_unchanged_in_a_pipe_and_visible_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = "a,\x1b[2J\nb,\x9b\n"
    pass_on(data)
    assert capsys.readouterr().out == data
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    pass_on(data)
    pass_on('{"a": "\x9b"}', visible_json)
    assert capsys.readouterr().out == 'a,\\x1b[2J\nb,\\x9b\n{"a": "\\u009b"}\n'


@pytest.mark.parametrize(
    ("columns", "expected"), [("132", 132), ("5", terminal.LEAST_WIDTH), ("none", 80), ("", 80)]
)
def test_the_width_is_that_of_columns_or_80(
    columns: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "__stderr__", None)
    monkeypatch.setattr(sys, "__stdin__", None)
    monkeypatch.setattr(sys, "__stdout__", None)
    assert width() == expected


def test_at_the_end_of_a_pipe_the_width_is_that_of_the_terminal() -> None:
    ours, theirs = pty.openpty()
    code = (
        "import fcntl, struct, sys, termios\n"
        "fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 57, 0, 0))\n"
        "from analytics.terminal import width; print(width())"
    )
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=env, check=True
    )
    os.close(ours)
    os.close(theirs)
    assert done.stdout == b"57\n"


PRINTERS = {"echo", "secho", "print", "write_stdout"}
STREAMS = {"stdout", "stderr"}
ALLOWED = {
    ("terminal.py", "echo"),
    ("importing/display.py", "print"),  # rich's console, above the bar: a visible text
    ("commands/query.py", "stdout"),  # an answer that is passed on to a pipe
    ("terminal.py", "stdout"),
    ("cli.py", "stdout"),  # a reader that has left
}


def test_everything_that_is_printed_passes_the_terminal() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in PRINTERS:
                    found.add((name, called))
            elif isinstance(node, ast.Attribute) and node.attr in STREAMS:
                owner = getattr(node.value, "id", "")
                if owner == "sys":
                    found.add((name, node.attr))
    assert found == ALLOWED
