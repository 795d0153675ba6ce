"""What commands print: columns for people, JSON for programs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import msgspec


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under a header, each column as wide as its widest cell."""
    table = [header, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(header))]
    for number, row in enumerate(table):
        line = "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        click.echo(line if number else click.style(line, bold=True))


def as_json(value: Any) -> None:
    """Anything that msgspec can encode, as one readable document."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def instant(moment: datetime | None, absent: str) -> str:
    """A time to the minute, in UTC."""
    return absent if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"
