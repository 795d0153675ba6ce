"""What an import shows where there is no terminal: a line every ten seconds, and why it waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.importing import display as display_module
from analytics.importing.display import Display
from analytics.importing.input_file import opened
from analytics.importing.position import Position


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(display_module, "time", clock)
    return clock


@pytest.fixture
def display(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Display]:
    """Of a file of 200 bytes whose first 500 lines were imported before."""
    monkeypatch.chdir(tmp_path)
    Path("events").write_bytes(b"x" * 200)
    with opened("events") as file, Display(file, 500) as display:
        yield display


def test_progress_is_a_line_every_ten_seconds(
    display: Display, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds, lines in ((9.9, 1_000), (0.1, 1_500), (9.9, 1_600), (0.1, 3_500)):
        clock.now += seconds
        display.advance(50, Position(line=lines))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "events: 1,500 lines, 25%, 100/s",
        "events: 3,500 lines, 25%, 150/s",
    ]


def test_the_same_reason_is_told_again_after_ten_seconds_and_another_at_once(
    display: Display, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds, text in ((0.0, "full"), (9.9, "full"), (0.1, "full"), (0.1, "away"), (0, "full")):
        clock.now += seconds
        display.note(text)
    assert capsys.readouterr().err.split() == ["full", "full", "away", "full"]


def test_a_warning_is_told_each_time_as_it_is(
    display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        display.warn("[bold]interrupted")
    assert capsys.readouterr().err == "[bold]interrupted\n" * 2


def test_a_file_and_a_reason_cannot_write_on_the_terminal(
    clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "\x1b[2Jevents"
    path.write_bytes(b"x")
    with opened(str(path)) as file, Display(file, 0) as display:
        display.note(f"{file.name}\x9b31m")
        display.warn("\u202egnp.exe\nall is well")
    note, warning = capsys.readouterr().err.splitlines()
    assert note.endswith(r"\x1b[2Jevents\x9b31m")
    assert warning == r"\u202egnp.exe\nall is well"
