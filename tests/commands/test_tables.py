"""Tables and lines of blocks, by the shape of an answer."""

from typing import Any

import pytest

from analytics.commands.tables import PrintedTable, spark, tables

SHAPES: list[tuple[Any, list[PrintedTable]]] = [
    (
        {"columns": ["a", "n"], "rows": [["x", 1]], "total_rows": 1},
        [PrintedTable("", ["a", "n"], [["x", 1]])],
    ),
    (
        {"times": ["t"], "new": [1], "dormant": [-1]},
        [PrintedTable("", ["times", "new", "dormant"], [["t", 1, -1]], over_time=True)],
    ),
    (
        {"rows": [{"id": "u", "n": 1}, {"id": "v"}], "next": None},
        [PrintedTable("rows", ["id", "n"], [["u", 1], ["v", None]])],
    ),
    (
        {"cohorts": [{"start": "d", "counts": [2, 1]}]},
        [PrintedTable("cohorts", ["start", "0", "1"], [["d", 2, 1]])],
    ),
    (
        {"visitors": 2, "per_minute": [0, 1]},
        [
            PrintedTable("", ["", ""], [["visitors", 2]]),
            PrintedTable("", ["per_minute"], [[0], [1]]),
        ],
    ),
    (
        {
            "times": ["t"],
            "series": [{"key": {"metadata.k": None}, "values": [1], "total": 2, "previous": [0]}],
            "other": None,
        },
        [PrintedTable("", ["time", "–", "– before"], [["t", 1, 0]], True, ["total", 2, None])],
    ),
    (
        {"groups": [{"key": {"k": "x"}, "steps": [{"n": 1}]}]},
        [PrintedTable("k: x steps", ["n"], [[1]])],
    ),
    ({"rows": [], "next": None}, [PrintedTable("", ["nothing"], [])]),
]


@pytest.mark.parametrize(("data", "expected"), SHAPES)
def test_tables_are_found_by_the_shape_of_an_answer(
    data: Any, expected: list[PrintedTable]
) -> None:
    assert tables(data) == expected


def test_a_line_of_blocks_is_as_high_as_its_numbers() -> None:
    assert spark([0, 1, 2, None, 4]) == "▁▃▅▁█"
    assert spark([]) == ""
    assert spark([-2, 0]) == "█▁"
    assert len(spark(list(range(1000)))) <= 24
