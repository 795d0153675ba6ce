"""The platforms of a user are found by what they announce, and only while they run."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics import commands, embedded, file_lock
from analytics.commands import here
from analytics.embedded.platforms import announced, found
from analytics.embedded.processes import Process
from analytics.errors import ConfigurationError
from analytics.settings import Settings


@contextlib.contextmanager
def platform(data: Path, base: Path, **roles: str) -> Iterator[embedded.Running]:
    """What stands on the disk while a platform runs, without its servers."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    running = embedded.Running(Process.of(os.getpid()), "redis://", "postgresql://", {}, roles)
    running.write(data)
    with (
        file_lock.acquire(data / "lock") or pytest.fail("it was taken"),
        announced(data, base),
    ):
        yield running


def test_a_platform_is_found_wherever_its_data_is_while_it_runs(tmp_path: Path) -> None:
    base = tmp_path / "base"
    assert found(base) == {}
    with platform(tmp_path / "x é", base) as one, platform(base, base) as two:
        assert found(base) == {tmp_path / "x é": one, base: two}
    assert found(base) == {}


def test_what_a_crash_left_announced_is_not_found_and_goes_with_the_next(tmp_path: Path) -> None:
    base = tmp_path / "base"
    with platform(tmp_path / "x", base):
        [left] = (base / "platforms").iterdir()
        text = left.read_bytes()
    left.write_bytes(text)
    assert found(base) == {}
    with platform(tmp_path / "y", base) as running:
        assert found(base) == {tmp_path / "y": running}
        assert not left.exists()


def test_where_nothing_can_be_announced_a_platform_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with platform(tmp_path / "x", tmp_path / "file"):
        assert found(tmp_path / "file") == {}


def test_the_other_commands_find_the_one_that_runs_and_name_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    monkeypatch.setattr(commands, "data_folder", lambda: base)
    monkeypatch.delenv("DATA_DIR", raising=False)
    settings = Settings(data_dir=base)
    assert here(settings) == (settings, None)
    with platform(tmp_path / "x", base, api="[::1]:5002", collector="[::1]:5001") as one:
        changed, run = here(settings)
        assert run == one
        assert (changed.data_dir, changed.host) == (tmp_path / "x", "::1")
        assert (changed.collector_port, changed.api_port, changed.realtime_port) == (
            5001,
            5002,
            4003,
        )
        assert here(Settings(data_dir=base, redis_url="redis://x"))[1] is None
        with platform(tmp_path / "y", base) as two:
            with pytest.raises(ConfigurationError) as caught:
                here(settings)
            assert caught.value.field == "DATA_DIR"
            for name in "xy":
                assert f"DATA_DIR={tmp_path / name}" in caught.value.message
            monkeypatch.setenv("DATA_DIR", str(tmp_path / "y"))
            assert here(Settings(data_dir=tmp_path / "y"))[1] == two
            assert here(Settings(data_dir=tmp_path / "z"))[1] is None
