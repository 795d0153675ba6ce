"""What is wrong after all files of an import; `tests/commands/test_import.py` runs whole ones."""

from pathlib import Path

import pytest

from analytics.errors import CommandError
from analytics.importing.files import Imported, complain, rejected_lines
from analytics.importing.position import Position


def imported(path: str, accepted: int, rejected: int = 0, *missing: str) -> Imported:
    codes = {"missing": rejected} if rejected else {}
    end = Position(line=accepted + rejected, accepted=accepted, rejected=codes)
    return Imported(path, accepted, end, missing)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ([imported("a", 3, 1)], "1 line was rejected; all others are imported"),
        ([imported("a", 3, 1), imported("b", 1, 1_000)], "1,001 lines were rejected"),
        ([imported("a", 0, 1), imported("b", 5), imported("c", 0, 9)], "no line of a, c is an ev"),
        ([imported("a", 2, 0, "w", "v")], "no line has v or w, which --map names; all events"),
        ([imported("a", 2, 0, "v", "w"), imported("b", 2, 0, "v")], "no line has v, which --map"),
        ([imported("a", 2, 0, "v"), imported("empty", 0)], "no line has v, which --map names"),
        ([imported("a", 2, 1, "v")], "no line has v, which --map names"),
    ],
)
def test_what_is_wrong_is_said_of_all_files_together(files: list[Imported], complaint: str) -> None:
    with pytest.raises(CommandError) as caught:
        complain(files)
    assert caught.value.message.startswith(complaint)


@pytest.mark.parametrize(
    "files",
    [[imported("empty", 0, 0, "v")], [imported("a", 2, 0, "v"), imported("b", 1, 0, "w")]],
)
def test_nothing_is_wrong_with_what_is_empty_or_found_elsewhere(files: list[Imported]) -> None:
    complain(files)


def test_rejected_lines_go_beside_their_file_and_never_into_one_called_minus() -> None:
    assert rejected_lines("logs/a.csv") == Path("logs/a.csv.rejected.ndjson")
    assert rejected_lines("-") == Path("stdin.rejected.ndjson")
