"""What commands print: aligned columns for people, JSON for programs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import msgspec


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header, each column as wide as its widest cell."""
    table = [header, *rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    for number, row in enumerate(table):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = "  ".join(cells).rstrip()
        click.echo(line if number else click.style(line, bold=True))


def as_json(value: Any) -> None:
    """Print anything that msgspec can encode, as one indented document."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def instant(moment: datetime | None, absent: str) -> str:
    """A time to the minute in UTC; `absent` when there is none."""
    return absent if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"
