"""What commands print: columns that line up, and JSON as one document.

`python -m tests.commands.test_output` writes `tables.txt`, answers at three widths.
"""

import contextlib
import io
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from rich.cells import cell_len

from analytics.commands.output import as_json, columns, instant, show, stream_json
from analytics.commands.tables import tables


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    columns(("ID", "NAME"), [("1", "web"), ("1000", ""), ("2", "the app")])
    assert click.unstyle(capsys.readouterr().out).splitlines() == [
        "ID    NAME",
        "1     web",
        "1000",
        "2     the app",
    ]


def test_without_rows_the_header_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    columns(("ID", "NAME"), [])
    assert click.unstyle(capsys.readouterr().out) == "ID  NAME\n"


def test_json_is_indented_and_keeps_letters_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    as_json({"name": "Zoë", "at": datetime(2026, 11, 2, tzinfo=UTC)})
    assert capsys.readouterr().out == '{\n  "name": "Zoë",\n  "at": "2026-11-02T00:00:00Z"\n}\n'


@pytest.mark.parametrize("values", [[], [1], [{"a": "x\ny", "b": [1, {}]}, "é", [], None]])
async def test_a_list_as_json_is_the_same_when_it_is_printed_value_by_value(
    values: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    as_json(values)
    whole = capsys.readouterr().out
    parts: list[str] = []

    async def one_by_one() -> AsyncIterator[Any]:
        for value in values:
            yield value
            parts.append(capsys.readouterr().out)

    await stream_json(one_by_one())
    assert "".join([*parts, capsys.readouterr().out]) == whole
    assert all(parts), "before the next is read, there is something to be seen"


def test_only_a_duration_has_its_unit_in_the_cells_and_not_in_the_heading(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for table in tables({"rows": [{"avg_s": 61.0, "metadata.is_s": 7}]}):
        show(table)
    _, heading, cells = click.unstyle(capsys.readouterr().out).splitlines()
    assert heading.split() == ["avg", "metadata.is_s"]
    assert cells.split()[-1] == "7"


def test_a_time_is_shown_to_the_minute_and_its_absence_in_words() -> None:
    assert instant(datetime(2026, 11, 2, 9, 5, 59, tzinfo=UTC), "never") == "2026-11-02 09:05Z"
    assert instant(None, "never") == "never"


DAYS = [f"2026-11-{day:02}T00:00:00+01:00" for day in range(2, 5)]
ANSWERS: dict[str, Any] = {
    "trends": {
        "times": DAYS,
        "series": [
            {
                "key": {"metadata.$path": path},
                "values": [number, 0, 1200],
                "total": number + 1200,
                "previous": [number, number, None],
                "previous_total": 2 * number,
            }
            for path, number in (("/pricing", 40), ("/docs/install/on-debian", 7), ("/日本語", 0))
        ],
        "other": None,
    },
    "sessions": {
        "sessions": 12345,
        "bounce_rate": 0.4321,
        "avg_s": 11520.4,
        "series": {
            "times": DAYS,
            "sessions": [1, 2, 3],
            "bounce_rate": [0.5, None, 1],
            "avg_s": [1, 90.2, 700000],
        },
    },
    "funnel": {
        "steps": [
            {"event": "account:signup", "n": 100, "rate": 1, "step_rate": 1, "median_s": None},
            {"event": "order:paid", "n": 43, "rate": 0.43, "step_rate": 0.43, "median_s": 190000},
        ],
        "groups": [],
    },
    "retention": {
        "cohorts": [
            {"start": "2026-11-02", "size": 1250, "counts": [1250, 565, 401, None]},
            {"start": "2026-11-03", "size": 0, "counts": [0, 0, None, None]},
        ],
    },
    "events": {
        "rows": [
            {
                "id": "00000000-0000-4000-8000-000000000009",
                "session_id": "a2",
                "user_id": "ada",
                "event_type": "order\u202e\x1b[2J",
                "metadata": {"plan": "pro", "note": "longer than any column will ever be"},
                "timestamp": "2026-11-03T10:20:00Z",
            }
        ],
        "next": None,
    },
}
"""Answers that are too wide for 40 columns, some for 80, none for 120."""

GOLDEN = Path(__file__).parent / "tables.txt"
WIDTHS = (40, 80, 120)


def printed(answer: dict[str, Any], width: int) -> str:
    """What is printed of an answer at a width."""
    os.environ["COLUMNS"] = str(width)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        for table in tables(answer):
            show(table)
    return output.getvalue()


def golden() -> str:
    return "".join(
        f"=== {name}, {width} columns\n{printed(answer, width)}"
        for name, answer in ANSWERS.items()
        for width in WIDTHS
    )


def test_answers_are_printed_exactly_like_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "")  # and afterwards what it was
    assert golden() == GOLDEN.read_text()


@pytest.mark.parametrize("name", ANSWERS)
def test_no_line_is_wider_than_the_terminal_however_narrow(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "")
    for width in range(20, 140):
        lines = printed(ANSWERS[name], width).splitlines()
        assert max(map(cell_len, lines)) <= width


def test_what_does_not_fit_is_one_record_below_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("1", "2026-11-02 10:10Z", "a name"), ("2", "never", "")]
    monkeypatch.setenv("COLUMNS", "25")
    columns(("ID", "EXPIRES", "NAME"), rows, shorten=("NAME",))
    assert capsys.readouterr().out.splitlines() == [
        "ID       1",
        "EXPIRES",
        "  2026-11-02 10:10Z",
        "NAME     a name",
        "",
        "ID       2",
        "EXPIRES  never",
        "NAME",
    ]


if __name__ == "__main__":
    GOLDEN.write_text(golden())
