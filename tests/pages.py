"""The blocks of a page of the docs, and a terminal in which a reader types them."""

import os
import re
import subprocess
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?:    .*\n)+")


class Block(NamedTuple):
    """A block of code on a page."""

    page: str
    language: str
    """Of the fence; `bash` for an indented block."""
    text: str

    @property
    def first(self) -> str:
        """The first line, by which tests name a block."""
        return self.text.splitlines()[0]


def blocks(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    text = (ROOT / page).read_text()
    found = [
        (match.start(), match[2], textwrap.dedent(match[3])) for match in _FENCE.finditer(text)
    ]
    fenced = [range(match.start(), match.end()) for match in _FENCE.finditer(text)]
    for match in _INDENTED.finditer(text):
        if not any(match.start() in span for span in fenced):
            found.append((match.start(), "bash", textwrap.dedent(match[0])))
    return [Block(page, language, body) for _, language, body in sorted(found)]


def commands(page: str) -> list[Block]:
    """The blocks that a reader types."""
    return [block for block in blocks(page) if block.language in ("bash", "sh")]


class Terminal:
    """A shell that stays open, so that a block finds the variables of the blocks before."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, text: str, status: int = 0) -> str:
        """Run commands; returns what they print. Asserts the exit status of the last."""
        end = uuid.uuid4().hex
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{text}\necho; echo {end} $?\n")
        self._shell.stdin.flush()
        printed = list(self._until(end))
        *output, last = printed
        shown = "\n".join(output).strip()
        assert last == f"{end} {status}", f"{text}\n{shown}\n{last}"
        return shown

    def _until(self, end: str) -> Iterator[str]:
        assert self._shell.stdout is not None
        for line in self._shell.stdout:
            yield line.rstrip("\n")
            if line.startswith(end):
                return

    def close(self) -> None:
        self._shell.kill()
        self._shell.communicate()


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a reader's shell has set, and no more."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        **more,
    }
