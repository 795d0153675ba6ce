"""The position of an import: kept from run to run, for one file and one set of circumstances."""

import os
from pathlib import Path

import pytest

from analytics.errors import CommandError
from analytics.importing.position import Keeper, Position, keeper_of

SOMEWHERE = Position(120, 7, b"\x00\xff", 5, {"not_json": 2}, 99)


def test_a_position_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    keeper = keeper_of(tmp_path, b"file", "shop")
    with keeper.alone():
        assert keeper.load() is None
        keeper.save(SOMEWHERE)
        assert keeper_of(tmp_path, b"file", "shop").load() == SOMEWHERE
        keeper.forget()
        keeper.forget()
        assert keeper.load() is None
    assert list((tmp_path / "imports").iterdir()) == []


def test_another_file_or_another_circumstance_begins_at_the_beginning(tmp_path: Path) -> None:
    keeper = keeper_of(tmp_path, b"file", "shop", None, 90)
    with keeper.alone():
        keeper.save(SOMEWHERE)
    for other in (
        keeper_of(tmp_path, b"other", "shop", None, 90),
        keeper_of(tmp_path, b"file", "toys", None, 90),
        keeper_of(tmp_path, b"file", "shop", "csv", 90),
        keeper_of(tmp_path, b"file", "shop", None, 0),
        keeper_of(tmp_path, b"file", "shop", "None", 90),
    ):
        assert other.load() is None
    assert keeper.load() == SOMEWHERE


@pytest.mark.parametrize("content", [b"", b"{", b'{"offset":"far"}', b"\xff"])
def test_a_position_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "position.json"
    path.write_bytes(content)
    assert Keeper(path).load() is None


def test_a_pipe_has_no_position(tmp_path: Path) -> None:
    keeper = keeper_of(tmp_path, None, "shop")
    with keeper.alone(), keeper.alone():
        keeper.save(SOMEWHERE)
        assert keeper.load() is None
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time_imports_a_file(tmp_path: Path) -> None:
    keeper = keeper_of(tmp_path, b"file")
    with keeper.alone():
        keeper.save(SOMEWHERE)
        with pytest.raises(CommandError, match="another process"), keeper.alone():
            pass
        with keeper_of(tmp_path, b"other").alone():
            pass
    with keeper.alone():
        assert keeper.load() == SOMEWHERE
    assert list(tmp_path.glob("imports/*.lock")), "it is kept with the position"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    keeper = keeper_of(tmp_path / "file", b"file")
    with (
        pytest.raises(CommandError, match=r"file/imports: Not a directory; set DATA_DIR"),
        keeper.alone(),
    ):
        pass


def test_positions_are_private_in_a_folder_that_others_cannot_change(tmp_path: Path) -> None:
    keeper = keeper_of(tmp_path / "data", b"file")
    before = os.umask(0)
    try:
        with keeper.alone():
            keeper.save(SOMEWHERE)
            inside = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
            assert len(inside) == 4
            # as root, the embedded servers' account must get through to its own folders
            assert not [path for path in inside if path.stat().st_mode & 0o066]
    finally:
        os.umask(before)
    (tmp_path / "data").chmod(0o777)
    refused = pytest.raises(CommandError, match="can be written by others; set DATA_DIR")
    with refused, keeper.alone():
        pass
