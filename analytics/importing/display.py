"""What an import shows while it works, on standard error: a bar on a terminal, a line now and then
elsewhere.
"""

import time
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from analytics.importing.importer import Step
from analytics.importing.source import Source

LINE_SECONDS = 10.0


class Display:
    """Shows one file."""

    def __init__(self, source: Source, line: int) -> None:
        """`line` lines were done before."""
        self._source = source
        self._first = line
        self._began = self._spoke = time.monotonic()
        self._noted = ("", 0.0)
        self._bar = _bar(Console(stderr=True))
        self._task = self._bar.add_task(
            source.name, total=source.size, lines=line, rate=0.0, note=""
        )
        self._live = self._bar.console.is_terminal

    def __enter__(self) -> Self:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bar.stop()

    def step(self, step: Step) -> None:
        """A batch is done."""
        lines = step.position.line
        rate = (lines - self._first) / max(time.monotonic() - self._began, 0.001)
        if self._live:
            self._bar.update(self._task, completed=step.read, lines=lines, rate=rate, note="")
        elif time.monotonic() - self._spoke >= LINE_SECONDS:
            share = f", {step.read / self._source.size:.0%}" if self._source.size else ""
            self._say(f"{self._source.name}: {lines:,} lines{share}, {rate:,.0f}/s")

    def note(self, text: str) -> None:
        """Something to know; said once, and again only when it has lasted."""
        if self._live:
            self._bar.update(self._task, note=text)
        elif self._noted[0] != text or time.monotonic() - self._noted[1] >= LINE_SECONDS:
            self._noted = (text, time.monotonic())
            self._say(text)

    def warn(self, text: str) -> None:
        """Something to know that is still true afterwards: a line that stays."""
        if self._live:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            self._say(text)

    def _say(self, text: str) -> None:
        self._spoke = time.monotonic()
        click.echo(text, err=True)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(
            "{task.fields[lines]:,} lines  {task.fields[rate]:,.0f}/s  {task.fields[note]}",
            markup=False,
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
