"""What an import shows on standard error: a bar on a terminal, elsewhere a line every 10 s."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from analytics.importing.input_file import InputFile
from analytics.importing.position import Position
from analytics.terminal import say, visible

LINE_SECONDS = 10.0


class Display:
    """Shows the progress of one file."""

    def __init__(self, file: InputFile, lines: int) -> None:
        """`lines` of the file were imported before."""
        self._file = file
        self._lines_before = lines
        self._start_s = self._said_s = time.monotonic()
        self._note, self._noted_s = "", 0.0
        self._bar = _bar(Console(stderr=True))
        total = file.size_bytes
        self._task = self._bar.add_task(
            visible(file.name), total=total, lines=lines, rate=0.0, note=""
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

    def advance(self, read_bytes: int, position: Position) -> None:
        """A batch is done: how much of the file is read, and where its lines end."""
        lines = position.line
        rate = (lines - self._lines_before) / max(time.monotonic() - self._start_s, 0.001)
        if self._live:
            self._bar.update(self._task, completed=read_bytes, lines=lines, rate=rate, note="")
        elif time.monotonic() - self._said_s >= LINE_SECONDS:
            size = self._file.size_bytes
            share = f", {read_bytes / size:.0%}" if size else ""
            self._say(f"{self._file.name}: {lines:,} lines{share}, {rate:,.0f}/s")

    def note(self, text: str) -> None:
        """Show why the import waits; the same text again only after 10 s."""
        if self._live:
            self._bar.update(self._task, note=visible(text))
        elif self._note != text or time.monotonic() - self._noted_s >= LINE_SECONDS:
            self._note, self._noted_s = text, time.monotonic()
            self._say(text)

    def warn(self, text: str) -> None:
        """Show a line that stays on the screen."""
        if self._live:
            self._bar.console.print(visible(text), markup=False, highlight=False)
        else:
            self._say(text)

    def _say(self, text: str) -> None:
        self._said_s = time.monotonic()
        say(text, err=True)


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
