"""Tables that fit a terminal: no word is broken, and what does not fit is cut with `…`.

Headings are broken at blanks before anything is cut.
A table too wide even so becomes several, if its columns are numbers, or else one record below the
other. Widths are those of a terminal: 日 takes two columns, a combining accent none.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size

from analytics.commands.cells import spark
from analytics.terminal import visible

GAP = "  "
CUT_WIDTH = 12
"""Narrower than this, no text is cut."""
WORD_WIDTH = 24
"""Narrower than this, no word of a heading is cut."""
MAX_BLOCKS = 24
"""Blocks below a column."""


PLAIN: Mapping[str, Any] = {}
BOLD: Mapping[str, Any] = {"bold": True}
BLOCKS: Mapping[str, Any] = {"fg": "cyan"}


class Line(NamedTuple):
    """A line to print, and its style for `click.style`."""

    text: str
    style: Mapping[str, Any]


class Column:
    """One column: its heading, and a cell for each row."""

    def __init__(
        self,
        heading: str,
        cells: Sequence[str],
        *,
        right: bool = False,
        whole: bool = False,
        numbers: Sequence[float | None] = (),
    ) -> None:
        """`right`: aligned so. `whole`: no cell may be cut. `numbers`: shown as blocks below."""
        self.heading = visible(heading)
        self.whole = whole
        self.cells = [visible(cell) for cell in cells]
        self.right = right
        self.numbers = numbers
        widest = max(map(cell_len, self.cells), default=0)
        blocks = min(len(numbers), MAX_BLOCKS)
        word = max(map(cell_len, self.heading.split(" ")))
        self.width = max(cell_len(self.heading), widest, blocks)
        self.uncut_width = max(word, widest, blocks)
        """With a heading of several lines."""
        self.least_width = max(
            min(word, WORD_WIDTH),
            widest if whole else min(widest, CUT_WIDTH),
            min(blocks, CUT_WIDTH),
        )


def laid_out(columns: Sequence[Column], width: int, totals: int = 0) -> Iterator[Line]:
    """The lines of a table, none wider than `width`. Its last `totals` rows are totals."""
    first, *others = columns
    room = width - first.least_width - len(GAP)
    if widths := _widths(columns, width):
        yield from _table(columns, widths, totals)
    elif all(column.right and column.least_width <= room for column in others):
        while others:
            part = [first]
            while others and _least([*part, others[0]]) <= width:
                part.append(others.pop(0))
            yield from _table(part, _widths(part, width), totals)
            if others:
                yield Line("", PLAIN)
    elif first.cells:
        yield from records(columns, width)
    else:
        headings = " ".join(column.heading for column in columns)
        yield from (Line(line, BOLD) for line in wrapped(headings, width))


def records(columns: Sequence[Column], width: int) -> Iterator[Line]:
    """A line for each cell, behind its column's heading; a blank line between two rows."""
    label_width = min(max(cell_len(column.heading) for column in columns), width // 2)
    for number, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        if number:
            yield Line("", PLAIN)
        for column, cell in zip(columns, cells, strict=True):
            yield from _field(column, cell, label_width, width)


def wrapped(text: str, width: int) -> list[str]:
    """Text in lines of at most `width`, broken at blanks; a longer word is cut."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(cut(word, width))
    return lines


def cut(text: str, width: int) -> str:
    """The text, or as much of it as fits before a `…`."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _least(columns: Sequence[Column]) -> int:
    """The narrowest that these columns can be."""
    return sum(column.least_width for column in columns) + len(GAP) * (len(columns) - 1)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """A width for each column, the widest made narrower as needed; empty if they do not fit.

    Headings are broken first, then text is cut.
    """
    if _least(columns) > width:
        return []
    widths = [min(column.width, width) for column in columns]
    for narrowest in ([c.uncut_width for c in columns], [c.least_width for c in columns]):
        while sum(widths) + len(GAP) * (len(widths) - 1) > width:
            wide = [at for at, least in enumerate(narrowest) if widths[at] > least]
            if not wide:
                break
            widths[max(wide, key=lambda at: widths[at])] -= 1
    return widths


def _table(columns: Sequence[Column], widths: Sequence[int], totals: int) -> Iterator[Line]:
    headings = [
        wrapped(column.heading, width) for column, width in zip(columns, widths, strict=True)
    ]
    height = max(map(len, headings))
    for line in range(-height, 0):
        parts = [lines[line] if -line <= len(lines) else "" for lines in headings]
        yield _row(parts, columns, widths, BOLD)
    rows = list(zip(*(column.cells for column in columns), strict=True))
    for number, cells in enumerate(rows):
        is_total = number >= len(rows) - totals
        yield _row(cells, columns, widths, BOLD if is_total else PLAIN)
    if any(column.numbers for column in columns):
        blocks = [
            spark(column.numbers, min(width, MAX_BLOCKS)) if column.numbers else ""
            for column, width in zip(columns, widths, strict=True)
        ]
        yield _row(blocks, columns, widths, BLOCKS)


def _row(
    cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], style: Mapping[str, Any]
) -> Line:
    texts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        text = cut(cell, width)
        blank = " " * (width - cell_len(text))
        texts.append(blank + text if column.right else text + blank)
    return Line(GAP.join(texts).rstrip(), style)


def _field(column: Column, cell: str, label_width: int, width: int) -> Iterator[Line]:
    """A cell behind its heading; below it, where what must not be broken needs the room."""
    labels = wrapped(column.heading, label_width)
    room = width - label_width - len(GAP)
    unbroken = [cell] if column.whole else cell.split(" ")
    if max(map(cell_len, unbroken)) > room:
        yield from (Line(label, PLAIN) for label in labels)
        yield from (Line(GAP + line, PLAIN) for line in wrapped(cell, width - len(GAP)))
        return
    for label, line in zip_longest(labels, wrapped(cell, room), fillvalue=""):
        blank = " " * (label_width - cell_len(label))
        yield Line(f"{label}{blank}{GAP}{line}".rstrip(), PLAIN)
