"""Tables from an answer of the api, by its shape: a new question needs no code here."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

BLOCKS = "▁▂▃▄▅▆▇█"
MAX_BLOCKS = 24
"""Blocks in one sparkline."""


class PrintedTable(NamedTuple):
    """A table; its cells are JSON values."""

    title: str
    columns: list[str]
    rows: list[list[Any]]
    over_time: bool = False
    """Whether each row is a bucket of time."""
    total: Sequence[Any] = ()
    """A last row with the totals, or nothing."""


def tables(data: Any, title: str = "") -> list[PrintedTable]:
    """The tables in an answer.

    First single values, then plain lists side by side as columns, then a table for each object and
    each list of objects.
    """
    if "columns" in data and "rows" in data:
        return [PrintedTable(title, data["columns"], data["rows"])]
    if "times" in data and "series" in data:
        return [_lines(data, title)]
    facts = {
        name: value
        for name, value in data.items()
        if not isinstance(value, dict | list) and name != "next"
    }
    lists = {
        name: value
        for name, value in data.items()
        if isinstance(value, list) and value and not any(isinstance(item, dict) for item in value)
    }
    shown: list[PrintedTable] = []
    if facts:
        shown.append(
            PrintedTable(title, ["", ""], [[name, value] for name, value in facts.items()])
        )
    if lists:
        rows = [list(row) for row in zip_longest(*lists.values())]
        shown.append(PrintedTable(title, list(lists), rows, over_time="times" in lists))
    for name, value in data.items():
        below = f"{title} {name}".strip()
        if isinstance(value, dict):
            shown += tables(value, below)
        elif isinstance(value, list) and value and name not in lists:
            shown += _objects(value, below)
    return shown or [PrintedTable(title, ["nothing"], [])]


def _lines(data: dict[str, Any], title: str) -> PrintedTable:
    """Trends: a column for each series, named by its key."""
    series = [(_name(line["key"]), line) for line in data["series"]]
    if data["other"]:
        series.append(("other", data["other"]))
    columns = [(name, line["values"], line["total"]) for name, line in series]
    columns += [
        (f"{name} before", line["previous"], None) for name, line in series if "previous" in line
    ]
    rows = zip(data["times"], *(values for _, values, _ in columns), strict=True)
    return PrintedTable(
        title,
        ["time", *(name for name, _, _ in columns)],
        [list(row) for row in rows],
        over_time=True,
        total=["total", *(total for _, _, total in columns)],
    )


def _name(key: dict[str, Any]) -> str:
    values = ("–" if value is None else str(value) for value in key.values())
    return ", ".join(values) or "value"


def _objects(items: Sequence[Any], name: str) -> list[PrintedTable]:
    """A row for each object; or, when an object holds lists of objects, tables for each."""
    if any(_holds_objects(value) for item in items for value in item.values()):
        return [
            table
            for item in items
            for table in tables(
                {field: value for field, value in item.items() if field != "key"},
                _group(item.get("key", {})),
            )
        ]
    rows = [_spread(item) for item in items]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return [PrintedTable(name, columns, [[row.get(column) for column in columns] for row in rows])]


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _group(key: dict[str, Any]) -> str:
    return ", ".join(f"{field}: {value}" for field, value in key.items())


def _spread(item: dict[str, Any]) -> dict[str, Any]:
    """The cells of a row: each item of a list gets a column of its own, named by its index."""
    cells: dict[str, Any] = {}
    for name, value in item.items():
        if isinstance(value, list):
            cells.update({str(index): cell for index, cell in enumerate(value)})
        else:
            cells[name] = value
    return cells


def spark(values: Sequence[float | None]) -> str:
    """A sparkline: blocks as high as the numbers.

    Of more than MAX_BLOCKS numbers, neighbours share a block, as high as the highest.
    """
    step = max(-(-len(values) // MAX_BLOCKS), 1)
    numbers = [
        max((abs(value) for value in values[at : at + step] if value is not None), default=0)
        for at in range(0, len(values), step)
    ]
    highest = max(numbers, default=0) or 1
    levels = (int(number / highest * len(BLOCKS)) for number in numbers)
    return "".join(BLOCKS[min(level, len(BLOCKS) - 1)] for level in levels)
