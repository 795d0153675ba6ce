"""A lock file: one holder at a time, and none once the holder is gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from analytics import file_lock


def test_a_lock_has_one_holder_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = file_lock.acquire(path)
    assert held is not None
    assert file_lock.acquire(path) is None
    assert file_lock.is_held(path)
    held.close()
    assert not file_lock.is_held(path)


def test_looking_whether_a_lock_is_held_does_not_take_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not file_lock.is_held(path)
    with file_lock.acquire(path) or pytest.fail("it was taken"):
        pass


def test_what_stands_in_the_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("42")
    with file_lock.acquire(path) or pytest.fail("it was taken"):
        assert path.read_text() == "42"


def test_a_process_that_is_killed_holds_no_lock_any_more(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, pathlib; from analytics import file_lock;"
        "lock = file_lock.acquire(pathlib.Path(sys.argv[1])); print(flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert file_lock.is_held(path)
        process.kill()
    assert not file_lock.is_held(path)


def test_a_lock_that_cannot_be_written_is_an_error_and_not_held(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_lock.acquire(tmp_path / "nowhere" / "lock")
