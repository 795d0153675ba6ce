"""What an import says at its end."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from analytics.events import Outcome
from analytics.importing.mapping import PLAIN, Mapping
from analytics.importing.position import Position
from analytics.importing.summary import outcome, summary
from analytics.importing.wait import ImportResult

BEGINNING = Position()
IN_UTC = Mapping(zone=ZoneInfo("UTC"))
MAPPED = Mapping.of([("v", "user_id")])


def said(
    end: Position,
    start: Position = BEGINNING,
    missing: tuple[str, ...] = (),
    days: int = 0,
    mapping: Mapping = PLAIN,
) -> list[str]:
    return summary("a.csv", start, end, missing, 2.0, Path("left"), days, mapping)


def test_the_summary_of_a_file_counts_what_this_run_did() -> None:
    start = Position(line=4, accepted=1_000, rejected={"missing": 2})
    end = Position(line=9, accepted=3_000, rejected={"missing": 3, "too_old": 1})
    assert said(end, start, days=90) == [
        "a.csv: 2,000 accepted, 2 rejected in 2.0 s (1,001/s)",
        "  with those before: 3,000 accepted, 4 rejected",
        "  rejected: 3 missing, 1 too_old; see left",
        "  RETENTION_DAYS is 90; to keep events forever, set RETENTION_DAYS=0 here and for the "
        "running platform",
    ]


@pytest.mark.parametrize(
    ("mapping", "beginning"),
    [
        (PLAIN, "  times without an offset need their zone, such as --tz"),
        (IN_UTC, "  docs/importing.md, "),
    ],
)
def test_the_summary_says_what_to_do_with_times_that_cannot_be_read(
    mapping: Mapping, beginning: str
) -> None:
    end = Position(line=2, accepted=1, rejected={"bad_timestamp": 1})
    *_, line = said(end, mapping=mapping)
    assert line.startswith(beginning)
    assert line.endswith("says which are read, and what to do with others")


def test_the_summary_has_the_most_frequent_reasons() -> None:
    counts = {"missing": 1, "too_old": 9, "not_json": 2, "too_long": 8, "wrong_type": 7, "x": 6}
    _, line = said(Position(line=40, rejected=counts))
    assert line == ("  rejected: 9 too_old, 8 too_long, 7 wrong_type, 6 x, 2 not_json; see left")


def test_the_summary_names_mapped_fields_that_are_nowhere() -> None:
    [_, line] = said(Position(line=1, accepted=1), missing=("v", "w"))
    assert line == "  no line has v or w, which --map names"
    assert said(Position(), missing=("v",)) == ["a.csv: empty, nothing to import"]


@pytest.mark.parametrize(
    ("result", "mapping", "hint"),
    [
        (Outcome(3, 0, 0), MAPPED, False),
        (Outcome(0, 3, 0), PLAIN, False),
        (Outcome(1, 2, 0), MAPPED, True),
        (Outcome(1, 2, 0), Mapping.of([], [("id", "x")]), True),
    ],
)
def test_duplicates_of_mapped_lines_are_explained(
    result: Outcome, mapping: Mapping, hint: bool
) -> None:
    first, *more = outcome(ImportResult(result, 0), mapping)
    assert first == f"stored {result.stored}, duplicates {result.duplicate}"
    assert [("--map" in line, "A wrong option" in line) for line in more] == [(True, True)] * hint


def test_dead_letters_and_the_events_of_others_are_told() -> None:
    [line] = outcome(ImportResult(Outcome(1, 0, 2), 3), PLAIN)
    assert "dead letters 2 (see `analytics dead-letters list`)" in line
    assert "3 events that others sent meanwhile" in line
