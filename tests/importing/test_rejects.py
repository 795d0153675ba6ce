"""The file of refused lines: what stands in it, and where a resumed import cuts it."""

import json
import os
from pathlib import Path

import pytest

from analytics.errors import CommandError
from analytics.importing.lines import Flaw, InputLine
from analytics.importing.rejects import MAX_SHOWN_BYTES, Rejects

NOT_JSON = Flaw("not_json", None, "the line is not JSON")


def line(number: int, raw: bytes = b"oops\r\n", flaw: Flaw | None = None) -> InputLine:
    return InputLine(number, number, 0, raw, raw.strip(), flaw)


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_the_file_comes_with_the_first_refused_line(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    with Rejects(path) as rejects:
        rejects.write([])
        assert not path.exists()
        rejects.write([(line(3), NOT_JSON)])
        assert rejects.size_bytes == path.stat().st_size
    message = "the line is not JSON"
    assert records(path) == [
        {"line": 3, "code": "not_json", "field": None, "message": message, "text": "oops"}
    ]


def test_bytes_that_are_no_text_are_shown_by_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    with Rejects(path) as rejects:
        rejects.write([(line(1, b'\xff"\x00\xc3\xbc\n'), NOT_JSON)])
    assert records(path)[0]["text"] == '\\xff"\x00ü'


def test_only_a_line_that_is_too_long_itself_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    too_long = Flaw("too_long", None, "the line is too long")
    raw = b"x" * (MAX_SHOWN_BYTES + 1)
    with Rejects(path) as rejects:
        rejects.write([(line(1, raw, too_long), too_long), (line(2, raw), too_long)])
    assert [len(str(record["text"])) for record in records(path)] == [
        MAX_SHOWN_BYTES,
        MAX_SHOWN_BYTES + 1,
    ]


def test_a_resumed_import_keeps_what_came_before_and_writes_on(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    with Rejects(path) as first:
        first.write([(line(1), NOT_JSON)])
        size = first.size_bytes
        first.write([(line(2), NOT_JSON)])
    with Rejects(path) as second:
        second.resume(size)
        second.write([(line(3), NOT_JSON)])
        assert second.size_bytes == path.stat().st_size
    assert [record["line"] for record in records(path)] == [1, 3]


def test_an_import_from_the_beginning_deletes_the_file_of_the_last(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    path.write_text("left\n")
    with Rejects(path) as rejects:
        rejects.resume(0)
        assert not path.exists()
        rejects.resume(0)


def test_a_file_that_was_made_shorter_or_deleted_meanwhile_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    path.write_text("left\n")
    with Rejects(path) as rejects:
        rejects.resume(1_000)
        assert (rejects.size_bytes, path.read_text()) == (5, "left\n")
    path.unlink()
    with Rejects(path) as rejects:
        rejects.resume(1_000)
        assert (rejects.size_bytes, path.exists()) == (0, False)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        Rejects(tmp_path / "nowhere" / "rejected") as rejects,
        pytest.raises(CommandError, match=r"nowhere/rejected cannot be written: .*--rejected"),
    ):
        rejects.write([(line(1), NOT_JSON)])


def test_a_link_is_written_only_where_the_user_named_it(tmp_path: Path) -> None:
    """Beside the imported file, another may have put it there."""
    other, path = tmp_path / "other", tmp_path / "rejected"
    path.symlink_to(other)
    with Rejects(path, named=False) as rejects:
        rejects.resume(0)
        with pytest.raises(CommandError, match=f"{path} cannot be written: .*--rejected"):
            rejects.write([(line(3), NOT_JSON)])
    assert not other.exists()
    with Rejects(path) as rejects:
        rejects.write([(line(3), NOT_JSON)])
    assert len(records(other)) == 1


@pytest.mark.parametrize("size", [0, 5])
def test_what_is_no_file_is_neither_removed_nor_cut(tmp_path: Path, size: int) -> None:
    """As root, `--rejected /dev/null` removed it for the whole machine."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, Path("/dev/full"), tmp_path / "none"):
        with Rejects(path) as rejects:
            rejects.resume(size)
        assert rejects.size_bytes == 0
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert Path("/dev/full").exists()


def test_a_file_without_room_is_named() -> None:
    with (
        pytest.raises(CommandError, match=r"/dev/full cannot be written: No space"),
        Rejects(Path("/dev/full")) as rejects,
    ):
        rejects.write([(line(3), NOT_JSON)])
