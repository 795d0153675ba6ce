"""Private files: made for this user alone, reached through no link, in folders of nobody else."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics import private_files

NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a path another user's: truly for root, else by making us another user."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    return give


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks are those of root; the files of whoever runs the tests pass for root's."""
    uid, strangers = os.geteuid(), private_files._strangers

    def as_root(facts: os.stat_result, *, renaming: bool = False) -> str | None:
        owner = 0 if facts.st_uid == uid else facts.st_uid
        return strangers(os.stat_result((*facts[:4], owner, *facts[5:])), renaming=renaming)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(private_files, "_strangers", as_root)


def test_a_folder_is_made_whatever_the_umask_and_one_that_is_there_stays_as_it_is(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        made = private_files.claim(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert (made, mode(made)) == (tmp_path / "a" / "b", 0o700)
    made.chmod(0o755)
    assert private_files.claim(made) == made
    assert mode(made) == 0o755


def test_a_link_of_ours_leads_to_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    assert private_files.claim(tmp_path / "link" / "data") == tmp_path / "disk" / "data"


def test_a_folder_of_another_is_refused_by_name(
    tmp_path: Path, give_away: Callable[[Path], None]
) -> None:
    (tmp_path / "data").mkdir()
    give_away(tmp_path / "data")
    with pytest.raises(PermissionError, match=f"{tmp_path}/data belongs to "):
        private_files.claim(tmp_path / "data")


@pytest.mark.parametrize("bits", [0o777, 0o1777, 0o702])
def test_a_folder_in_which_others_may_write_is_refused(tmp_path: Path, bits: int) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(bits)
    with pytest.raises(PermissionError, match="can be written by others"):
        private_files.claim(tmp_path / "data")


def test_a_folder_of_our_own_group_is_ours(tmp_path: Path) -> None:
    """With a umask of 002, as many have it, all folders are like this."""
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", -1, os.getegid())
    (tmp_path / "data").chmod(0o770)
    private_files.claim(tmp_path / "data")


def test_root_refuses_what_lies_in_a_folder_of_another_and_makes_nothing_there(
    tmp_path: Path, root: None, give_away: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if os.getuid():
        monkeypatch.setattr(private_files, "_strangers", lambda *_, **__: "belongs to mallory")
    else:
        give_away(theirs)
    with pytest.raises(PermissionError, match="belongs to "):
        private_files.claim(theirs / "a" / "b")
    assert list(theirs.iterdir()) == []


def test_root_refuses_a_link_that_another_has_put_in_the_way(tmp_path: Path, root: None) -> None:
    if os.getuid():
        pytest.skip("only root can make a link another's")
    (tmp_path / "etc").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "etc")
    os.chown(tmp_path / "link", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(PermissionError, match=f"{tmp_path}/link belongs to "):
        private_files.claim(tmp_path / "link" / "data")
    assert list((tmp_path / "etc").iterdir()) == []


def test_root_refuses_anothers_link_to_which_its_own_link_leads(tmp_path: Path, root: None) -> None:
    """Who may change any link on the way says where the data goes."""
    if os.getuid():
        pytest.skip("only root can make a link another's")
    (tmp_path / "etc").mkdir()
    (tmp_path / "theirs").symlink_to(tmp_path / "etc")
    os.chown(tmp_path / "theirs", NOBODY, NOBODY, follow_symlinks=False)
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "ours").symlink_to("../theirs/data")
    with pytest.raises(PermissionError, match=f"{tmp_path}/theirs belongs to "):
        private_files.claim(tmp_path / "up" / "ours" / "below")
    assert list((tmp_path / "etc").iterdir()) == []


def test_links_that_lead_nowhere_are_an_error(tmp_path: Path, root: None) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        private_files.claim(tmp_path / "one" / "data")


@pytest.mark.parametrize(("bits", "allowed"), [(0o777, False), (0o1777, True)])
def test_root_trusts_a_folder_for_all_where_nobody_can_rename_what_is_anothers(
    tmp_path: Path, root: None, bits: int, allowed: bool
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(bits)
    if allowed:
        assert mode(private_files.claim_data(shared / "data")) == 0o711
    else:
        with pytest.raises(PermissionError, match="can be written by others"):
            private_files.claim_data(shared / "data")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            private_files.claim(path)


def test_a_folder_is_given_while_it_is_empty_and_must_be_private_once_it_is_used(
    tmp_path: Path, give_away: Callable[[Path], None]
) -> None:
    me = (os.geteuid(), os.getegid())
    folder = tmp_path / "postgres"
    folder.mkdir(0o755)
    private_files.give(folder, *me)
    assert mode(folder) == 0o700
    (folder / "data").mkdir()
    private_files.give(folder, *me)
    folder.chmod(0o750)
    with pytest.raises(PermissionError, match="others may enter it"):
        private_files.give(folder, *me)
    assert mode(folder) == 0o750
    give_away(folder)
    with pytest.raises(PermissionError, match="it belongs to "):
        private_files.give(folder, os.geteuid(), me[1])


def test_no_link_is_given_to_anybody(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir(0o755)
    (tmp_path / "postgres").symlink_to(tmp_path / "etc")
    with pytest.raises(NotADirectoryError):
        private_files.give(tmp_path / "postgres", os.geteuid(), os.getegid())
    assert mode(tmp_path / "etc") == 0o755


def test_a_file_is_replaced_in_private_and_a_link_is_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "secret"
    other.write_text("mine")
    path.symlink_to(other)
    before = os.umask(0)
    try:
        private_files.replace(path, b"hunter2")
    finally:
        os.umask(before)
    assert (other.read_text(), path.read_text()) == ("mine", "hunter2")
    assert (path.is_symlink(), mode(path)) == (False, 0o600)
    assert private_files.read(path) == b"hunter2"
    assert list(tmp_path.glob("*.new")) == []


@pytest.mark.parametrize("use", [private_files.read, private_files.append])
def test_links_pipes_and_folders_are_neither_read_nor_written(
    tmp_path: Path, use: Callable[[Path], object]
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "dangling", "folder", "pipe"):
        with pytest.raises(OSError, match=name):
            use(tmp_path / name)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("use", [private_files.read, private_files.append])
def test_anothers_file_is_neither_read_nor_written(
    tmp_path: Path, give_away: Callable[[Path], None], use: Callable[[Path], object]
) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    give_away(path)
    with pytest.raises(PermissionError, match="is not a file of yours"):
        use(path)


def test_a_file_with_a_second_name_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("x")
    (tmp_path / "log").hardlink_to(tmp_path / "shadow")
    with pytest.raises(PermissionError, match="is not a file of yours"):
        private_files.append(tmp_path / "log")


def test_what_is_appended_comes_after_what_was_there(tmp_path: Path) -> None:
    for word in (b"one ", b"two"):
        with private_files.append(tmp_path / "log") as file:
            file.write(word)
    assert (tmp_path / "log").read_bytes() == b"one two"
    assert mode(tmp_path / "log") == 0o600
