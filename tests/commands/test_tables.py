"""Tables, by the shape of an answer."""

from typing import Any

import pytest

from analytics.commands.cells import Change, Seconds, Share
from analytics.commands.tables import PrintedTable, tables

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
        {
            "cohorts": [
                {"start": "d", "size": 4, "counts": [4, 1, None]},
                {"start": "e", "size": 0, "counts": [0, 0, None]},
            ]
        },
        [
            PrintedTable(
                "cohorts",
                ["start", "size", "0", "1", "2"],
                [["d", 4, 4, 1, None], ["e", 0, 0, 0, None]],
            ),
            PrintedTable(
                "cohorts, share of their size",
                ["start", "0", "1", "2"],
                [["d", Share(1), Share(0.25), None], ["e", None, None, None]],
            ),
        ],
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
            "series": [{"key": {"metadata.k": None}, "values": [1], "total": 2}],
            "other": None,
        },
        [PrintedTable("", ["time", "–"], [["t", 1]], True, [["total", 2]])],
    ),
    (
        {"groups": [{"key": {"k": "x"}, "steps": [{"n": 1}]}]},
        [PrintedTable("k: x steps", ["n"], [[1]])],
    ),
    ({"rows": [], "next": None}, [PrintedTable("", ["nothing"], [])]),
    (
        {
            "times": ["t"],
            "series": [
                {
                    "key": {"metadata.k": None},
                    "values": [3],
                    "total": 3,
                    "previous": [2],
                    "previous_total": 2,
                }
            ],
            "other": {"values": [1], "total": 1, "previous": [0], "previous_total": 0},
        },
        [
            PrintedTable(
                "",
                ["time", "–", "– before", "other", "other before"],
                [["t", 3, 2, 1, 0]],
                True,
                [["total", 3, 2, 1, 0], ["change", Change(0.5), None, None, None]],
            )
        ],
    ),
    (
        {
            "columns": ["metadata.rate", "count"],
            "rows": [["x", 3], ["y", 1]],
            "total_rows": 2,
            "previous": [["x", 4], None],
        },
        [
            PrintedTable(
                "",
                ["metadata.rate", "count", "count before", "count change"],
                [["x", 3, 4, Change(-0.25)], ["y", 1, None, None]],
            )
        ],
    ),
    (
        {"sessions": 3, "bounce_rate": 0.5, "previous": {"sessions": 0, "bounce_rate": 0.25}},
        [
            PrintedTable(
                "",
                ["", "now", "before", "change"],
                [
                    ["sessions", 3, 0, None],
                    ["bounce_rate", Share(0.5), Share(0.25), Change(1.0)],
                ],
            )
        ],
    ),
]


@pytest.mark.parametrize(("data", "expected"), SHAPES)
def test_tables_are_found_by_the_shape_of_an_answer(
    data: Any, expected: list[PrintedTable]
) -> None:
    assert tables(data) == expected


def test_rates_and_durations_know_what_they_are_but_not_what_senders_named() -> None:
    answer = {"avg_s": 1.5, "bounce_rate": 1, "event": {"metadata": {"rate": 3, "avg_s": 4}}}
    figures, metadata = tables(answer)
    assert [type(row[1]) for row in figures.rows] == [Seconds, Share]
    assert metadata.title == "event metadata"
    assert metadata.rows == [["rate", 3], ["avg_s", 4]]
    assert {type(row[1]) for row in metadata.rows} == {int}


@pytest.mark.parametrize(
    "metadata", [{"columns": 1, "rows": 2}, {"times": 1, "series": {}}, {"previous": {}, "a": 1}]
)
def test_metadata_that_looks_like_an_answer_is_shown_as_what_it_is(
    metadata: dict[str, Any],
) -> None:
    [table] = tables({"metadata": metadata})
    assert table.rows == [[name, value] for name, value in metadata.items()]
