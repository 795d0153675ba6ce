"""Tables of what the api answers, found by its shape, so that a new question needs nothing here."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

BLOCKS = "▁▂▃▄▅▆▇█"
WIDEST = 24
"""Blocks in one line."""


class Table(NamedTuple):
    """Cells as JSON has them; `over_time` if each row is a bucket, `total` a last row that is none."""

    title: str
    columns: list[str]
    rows: list[list[Any]]
    over_time: bool = False
    total: Sequence[Any] = ()


def tables(data: Any, title: str = "") -> list[Table]:
    """The tables in an answer: what stands alone first, then lists side by side, then everything
    that has a table of its own.
    """
    if "columns" in data and "rows" in data:
        return [Table(title, data["columns"], data["rows"])]
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
        if isinstance(value, list) and not any(isinstance(item, dict) for item in value)
    }
    lists = {name: value for name, value in lists.items() if value}
    found = (
        [Table(title, ["", ""], [[name, value] for name, value in facts.items()])] if facts else []
    )
    if lists:
        found.append(
            Table(
                title,
                list(lists),
                [list(row) for row in zip_longest(*lists.values())],
                "times" in lists,
            )
        )
    for name, value in data.items():
        below = f"{title} {name}".strip()
        if isinstance(value, dict):
            found += tables(value, below)
        elif isinstance(value, list) and value and name not in lists:
            found += _objects(value, below)
    return found or [Table(title, ["nothing"], [])]


def _lines(data: dict[str, Any], title: str) -> Table:
    """Trends: a column for each line, its key for a name."""
    lines = [
        (
            ", ".join("–" if value is None else str(value) for value in line["key"].values())
            or "value",
            line,
        )
        for line in data["series"]
    ]
    if data["other"]:
        lines.append(("other", data["other"]))
    columns = [(name, line["values"], line["total"]) for name, line in lines]
    columns += [
        (f"{name} before", line["previous"], None) for name, line in lines if "previous" in line
    ]
    rows = [
        list(row) for row in zip(data["times"], *(values for _, values, _ in columns), strict=True)
    ]
    return Table(
        title,
        ["time", *(name for name, _, _ in columns)],
        rows,
        over_time=True,
        total=["total", *(total for _, _, total in columns)],
    )


def _objects(items: Sequence[Any], name: str) -> list[Table]:
    """A row for each object; what is a list in it is spread over columns, and objects that hold
    tables are tables.
    """
    nested = [
        item
        for item in items
        if any(
            isinstance(value, list) and value and isinstance(value[0], dict)
            for value in item.values()
        )
    ]
    if nested:
        return [
            table
            for item in items
            for table in tables(
                {key: value for key, value in item.items() if key != "key"},
                _group(item.get("key", {})),
            )
        ]
    spread = [_spread(item) for item in items]
    columns = list(dict.fromkeys(column for item in spread for column in item))
    return [Table(name, columns, [[item.get(column) for column in columns] for item in spread])]


def _group(key: dict[str, Any]) -> str:
    return ", ".join(f"{field}: {value}" for field, value in key.items())


def _spread(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in item.items():
        found.update(
            {str(at): one for at, one in enumerate(value)}
            if isinstance(value, list)
            else {name: value}
        )
    return found


def spark(values: Sequence[float | None]) -> str:
    """A line of blocks, as high as the numbers; several beside each other share one where there are
    too many.
    """
    step = max(-(-len(values) // WIDEST), 1)
    numbers = [
        max((abs(value) for value in values[at : at + step] if value is not None), default=0)
        for at in range(0, len(values), step)
    ]
    most = max(numbers, default=0) or 1
    return "".join(
        BLOCKS[min(int(number / most * len(BLOCKS)), len(BLOCKS) - 1)] for number in numbers
    )
