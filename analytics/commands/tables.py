"""Tables from an answer of the api, by its shape: a new question needs no code here."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from analytics.commands.cells import Seconds, Share, change, is_number, shown

SHARES = ("rate", "step_rate", "bounce_rate")
DURATIONS = ("avg_s", "median_s", "duration_s", "window_s")
FIELDS = ("event_type", "event_action", "user_id", "session_id")
"""What breakdowns group by, besides keys of FREE and of persons."""
FREE = ("metadata", "properties")
"""Objects whose names are the sender's."""
BEFORE, CHANGE = " before", " change"
"""Ends of the names of columns that compare with another range."""


class PrintedTable(NamedTuple):
    """A table; its cells are JSON values, or numbers of a kind (`cells.py`)."""

    title: str
    columns: list[str]
    """All empty: the first cell of a row names the second."""
    rows: list[list[Any]]
    over_time: bool = False
    """Whether each row is a bucket of time."""
    totals: Sequence[list[Any]] = ()
    """Last rows: the totals, and how they changed."""


def tables(data: Mapping[str, Any], title: str = "") -> list[PrintedTable]:
    """The tables in an answer.

    First single values, then plain lists side by side as columns, then a table for each object and
    each list of objects.
    """
    if "columns" in data and "rows" in data:
        return [_breakdown(data, title)]
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
    before = data.get("previous")
    printed: list[PrintedTable] = []
    if facts and isinstance(before, dict):
        printed.append(_compared(facts, before, title))
        data = {**data, "previous": {k: v for k, v in before.items() if k not in facts}}
    elif facts:
        printed.append(_facts(facts, title))
    if lists:
        columns = ([_kind(name, value) for value in values] for name, values in lists.items())
        rows = [list(row) for row in zip_longest(*columns)]
        printed.append(PrintedTable(title, list(lists), rows, over_time="times" in lists))
    for name, value in data.items():
        below = f"{title} {name}".strip()
        if isinstance(value, dict) and value:
            printed += [_facts(value, below)] if name in FREE else tables(value, below)
        elif isinstance(value, list) and value and name not in lists:
            printed += _objects(value, below)
    return printed or [PrintedTable(title, ["nothing"], [])]


def _facts(facts: Mapping[str, Any], title: str) -> PrintedTable:
    free = title.rpartition(" ")[2] in FREE
    rows = [[name, value if free else _kind(name, value)] for name, value in facts.items()]
    return PrintedTable(title, ["", ""], rows)


def _compared(facts: Mapping[str, Any], before: Mapping[str, Any], title: str) -> PrintedTable:
    """Single values beside those of another range."""
    rows = [
        [name, _kind(name, now), _kind(name, before.get(name)), change(now, before.get(name))]
        for name, now in facts.items()
    ]
    return PrintedTable(title, ["", "now", "before", "change"], rows)


def _breakdown(data: Mapping[str, Any], title: str) -> PrintedTable:
    """Its rows; with another range, each measure has its value there and the change."""
    columns, rows = data["columns"], data["rows"]
    if "previous" not in data:
        return PrintedTable(title, columns, rows)
    measures = [at for at, name in enumerate(columns) if not _is_field(name)]
    names = [f"{columns[at]}{word}" for at in measures for word in (BEFORE, CHANGE)]
    compared = []
    for row, before in zip(rows, data["previous"], strict=True):
        old = before or [None] * len(columns)
        pairs = [(old[at], change(row[at], old[at])) for at in measures]
        compared.append([*row, *(cell for pair in pairs for cell in pair)])
    return PrintedTable(title, [*columns, *names], compared)


def _is_field(column: str) -> bool:
    return column in FIELDS or column.startswith(("metadata.", "person."))


def _lines(data: Mapping[str, Any], title: str) -> PrintedTable:
    """Trends: a column for each series, named by its key; beside it, that of another range."""
    series = [(_name(line["key"]), line) for line in data["series"]]
    if data["other"]:
        series.append(("other", data["other"]))
    names, columns = ["time"], [data["times"]]
    totals: list[Any] = ["total"]
    changes: list[Any] = ["change"]
    for name, line in series:
        names.append(name)
        columns.append(line["values"])
        totals.append(line["total"])
        changes.append(change(line["total"], line.get("previous_total")))
        if "previous" in line:
            names.append(f"{name}{BEFORE}")
            columns.append(line["previous"])
            totals.append(line.get("previous_total"))
            changes.append(None)
    compared = any("previous_total" in line for _, line in series)
    rows = [list(row) for row in zip(*columns, strict=True)]
    return PrintedTable(title, names, rows, True, [totals, changes] if compared else [totals])


def _name(key: Mapping[str, Any]) -> str:
    return ", ".join(_text(value) for value in key.values()) or "value"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


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
    printed = [_side_by_side(items, name)]
    if all(is_number(item.get("size")) and "counts" in item for item in items):
        printed.append(_side_by_side([*map(_of_size, items)], f"{name}, share of their size"))
    return printed


def _side_by_side(items: Sequence[Any], title: str) -> PrintedTable:
    """A row for each object, a column for each of their names."""
    rows = [_spread(item) for item in items]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return PrintedTable(title, columns, [[row.get(column) for column in columns] for row in rows])


def _of_size(item: Mapping[str, Any]) -> dict[str, Any]:
    """A cohort whose counts are shares of its size."""
    size, counts = item["size"], item["counts"]
    shares = [Share(count / size) if size and count is not None else None for count in counts]
    return {**{name: value for name, value in item.items() if name != "size"}, "counts": shares}


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _group(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{field}: {_text(value)}" for field, value in key.items())


def _spread(item: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a row: each number of a list gets a column of its own, named by its index."""
    cells: dict[str, Any] = {}
    for name, value in item.items():
        if isinstance(value, list) and all(number is None or is_number(number) for number in value):
            cells.update({str(index): number for index, number in enumerate(value)})
        elif name == "key" and isinstance(value, dict):
            cells.update(value)
        else:
            cells[name] = _kind(name, value)
    return cells


def _kind(name: str, value: Any) -> Any:
    """A number of the kind that its name says; anything else as it is."""
    if is_number(value) and name in SHARES:
        return Share(value)
    return Seconds(value) if is_number(value) and name in DURATIONS else value
