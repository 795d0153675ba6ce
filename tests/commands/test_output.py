"""What commands print: columns that line up, and JSON as one document."""

from datetime import UTC, datetime

import click
import pytest

from analytics.commands.output import as_json, columns, instant


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


def test_a_time_is_shown_to_the_minute_and_its_absence_in_words() -> None:
    assert instant(datetime(2026, 11, 2, 9, 5, 59, tzinfo=UTC), "never") == "2026-11-02 09:05Z"
    assert instant(None, "never") == "never"
