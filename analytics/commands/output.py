"""What commands print: tables that fit the terminal for people, JSON for programs."""

from collections.abc import AsyncIterable, Collection, Iterable, Sequence
from datetime import datetime
from textwrap import indent
from typing import Any

import msgspec

from analytics.commands.cells import Seconds, buckets, is_moment, is_number, shown
from analytics.commands.layout import Column, Line, cut, laid_out, records
from analytics.commands.tables import PrintedTable
from analytics.terminal import pass_on, say, visible, visible_json, width


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], shorten: Collection[str] = ()
) -> None:
    """Print rows under a header; only columns named in `shorten` may lose the end of a cell."""
    cells = zip(*rows, strict=True) if rows else [()] * len(header)
    _print(
        laid_out(
            [
                Column(heading, column, whole=heading not in shorten)
                for heading, column in zip(header, cells, strict=True)
            ],
            width(),
        )
    )


def show(table: PrintedTable) -> None:
    """Print a table of an answer; below numbers over time stand blocks as high as they are."""
    if table.title:
        say(cut(visible(table.title), width()), italic=True)
    if any(table.columns):
        parts = [_column(table, index) for index in range(len(table.columns))]
        _print(laid_out(parts, width(), len(table.totals)))
    else:
        facts = [
            Column(
                _heading(name, [value]),
                [shown(value)],
                whole=not isinstance(value, str) or is_moment(value),
            )
            for name, value in table.rows
        ]
        _print(records(facts, width()))


def _print(lines: Iterable[Line]) -> None:
    for line in lines:
        say(line.text, **line.style)


def _column(table: PrintedTable, index: int) -> Column:
    name = table.columns[index]
    values = [row[index] for row in table.rows]
    totals = [row[index] for row in table.totals]
    is_start = table.over_time and index == 0
    numbers = [value for value in values if value is not None]
    numeric = bool(numbers) and all(map(is_number, numbers))
    named = name == "id" or name.endswith("_id")
    if not name:
        values = [_heading(row[0], row[1:]) for row in table.rows]
    return Column(
        _heading(name, values),
        [*(buckets(values) if is_start else map(shown, values)), *map(shown, totals)],
        right=numeric,
        whole=numeric or is_start or named or any(map(is_moment, values)),
        numbers=values if numeric and table.over_time else (),
    )


def _heading(name: str, values: Sequence[Any]) -> str:
    """The name of a column; without its unit where the cells have theirs."""
    return name.removesuffix("_s") if any(isinstance(v, Seconds) for v in values) else name


def as_json(value: Any) -> None:
    """Print anything that msgspec can encode, as one indented document."""
    pass_on(_document(value), visible_json)


async def stream_json(values: AsyncIterable[Any]) -> None:
    """Print values as one list, as `as_json` does, with no more than one of them in memory."""
    last: str | None = None
    async for value in values:
        pass_on("[" if last is None else f"{last},", visible_json)
        last = indent(_document(value), "  ")
    pass_on("[]" if last is None else f"{last}\n]", visible_json)


def _document(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def instant(moment: datetime | None, absent: str) -> str:
    """A time to the minute in UTC; `absent` when there is none."""
    return absent if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"
