"""Files, resumed and summed up, and what is wrong with all of them at the end."""

import asyncio
import io
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from analytics.errors import CommandError
from analytics.events import Event
from analytics.importing import importer
from analytics.importing.files import Imported, Options, complain, import_file, rejected_lines
from analytics.importing.mapping import PLAIN, Mapping
from analytics.importing.position import Position
from analytics.settings import Settings
from tests.importing.test_importer import FakeQueue, event, ndjson

OPTIONS = Options("default", None, None, False, PLAIN, "analytics import -")
HEADER = b"session_id,event_type,event_action,metadata.a,metadata.a,elsewhere\n"


class InterruptedQueue(FakeQueue):
    """Ctrl-C comes before the third append."""

    async def append(self, events: Sequence[Event]) -> None:
        if len(self.jobs) == 2:
            raise asyncio.CancelledError
        await super().append(events)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(importer, "BATCH_EVENTS", 10)
    return Settings(data_dir=tmp_path / "data", retention_days=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 50 rows."""
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + b"s,t,a,1,,\n" * 50)
    return path


async def interrupted(path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    """Import a file up to an interruption after 20 rows; what was said."""
    with pytest.raises(asyncio.CancelledError):
        await import_file(InterruptedQueue(), settings, str(path), OPTIONS)
    return capsys.readouterr().err


async def test_an_interrupted_file_goes_on_and_says_no_warning_twice(
    settings: Settings, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = await interrupted(path, settings, capsys)
    assert "columns ignored: elsewhere" in said
    assert "columns that stand twice: metadata.a" in said
    assert said.endswith("events.csv: interrupted; run the same command to resume\n")
    queue = FakeQueue()
    done = await import_file(queue, settings, str(path), OPTIONS)
    assert (done.accepted, len(queue.events)) == (30, 30)
    [line] = capsys.readouterr().err.splitlines()
    assert "resuming after line 21, where the last import stopped" in line


@pytest.mark.parametrize(
    "change",
    [
        {"retention_days": 7},
        {"project": "shop"},
        {"kind": "csv"},
        {"mapping": Mapping.of([], [("user_id", "ada")])},
        {"restart": True},
        {"REDIS_URL": "redis://elsewhere"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_with_anything_else_it_starts_over(
    settings: Settings,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
) -> None:
    await interrupted(path, settings, capsys)
    [(name, value)] = change.items()
    options = OPTIONS
    if name == "REDIS_URL":
        monkeypatch.setenv(name, str(value))
    elif name in Settings.__struct_fields__:
        settings = msgspec.structs.replace(settings, **change)
    else:
        options = msgspec.structs.replace(options, **change)
    assert (await import_file(FakeQueue(), settings, str(path), options)).accepted == 50
    assert "resuming" not in capsys.readouterr().err


async def test_an_interrupted_pipe_cannot_be_resumed_and_nobody_is_told_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.write(writing, ndjson(*map(event, range(50))))
    os.close(writing)
    with io.TextIOWrapper(os.fdopen(reading, "rb")) as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        with pytest.raises(asyncio.CancelledError):
            await import_file(InterruptedQueue(), settings, "-", OPTIONS)
    assert capsys.readouterr().err == "standard input: interrupted\n"


async def test_only_a_file_that_was_named_may_be_a_link(settings: Settings, tmp_path: Path) -> None:
    path, target = tmp_path / "events.ndjson", tmp_path / "target"
    path.write_bytes(b"oops\n")
    link = rejected_lines(str(path))
    link.symlink_to(target)
    with pytest.raises(CommandError, match="name another file with --rejected"):
        await import_file(FakeQueue(), settings, str(path), OPTIONS)
    assert not target.exists()
    named = msgspec.structs.replace(OPTIONS, rejected=link)
    await import_file(FakeQueue(), settings, str(path), named)
    assert b"not_json" in target.read_bytes()


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
