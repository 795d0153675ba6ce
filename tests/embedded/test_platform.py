"""The embedded servers start, refuse a second start, keep their data and leave nothing behind. Run
as a program, this file holds them.
"""

import contextlib
import os
import pwd
import shutil
import signal
import site
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from analytics import embedded
from analytics.errors import CommandError
from tests.servers import psql
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]


def _sql(running: embedded.Running, statement: str) -> str:
    return psql(
        embedded.Postgres(Path("/"), password="").program("psql"), running.database_url, statement
    )


def _redis(running: embedded.Running, *words: str) -> Any:
    from redis import Redis

    with Redis.from_url(running.redis_url, decode_responses=True) as client:
        return client.execute_command(*words)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def hold(
    folder: Path, python: str = sys.executable, **options: Any
) -> tuple[subprocess.Popen[str], embedded.Running]:
    """This file as a program that holds the servers of `folder`, once they run."""
    command = [python, "-m", "tests.embedded.test_platform", str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, msgspec.json.decode(line, type=embedded.Running)


def test_data_is_kept_from_run_to_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says of TLS."""
    monkeypatch.setenv("PGSSLMODE", "require")
    with embedded.servers(folder) as running:
        _sql(running, "create table kept as select 42 as n")
        _redis(running, "SET", "kept", "42")
    with embedded.servers(folder) as running:
        assert _sql(running, "select n from kept") == "42"
        assert _redis(running, "GET", "kept") == "42"


def test_valkey_never_evicts_and_syncs_every_write(folder: Path) -> None:
    with embedded.servers(folder) as running:
        for name, value in {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }.items():
            assert _redis(running, "CONFIG", "GET", name)[1] == value
        assert int(_redis(running, "CONFIG", "GET", "maxmemory")[1]) > 0


def test_a_second_start_is_refused_and_names_the_first(folder: Path) -> None:
    with embedded.servers(folder) as running:
        with (
            pytest.raises(CommandError, match=rf"already runs here \(process {os.getpid()}\)"),
            embedded.servers(folder),
        ):
            pass
        assert embedded.running(folder) == running
        running.check_servers()
    assert embedded.running(folder) is None
    assert not (folder / "running.json").exists()


def test_servers_that_were_killed_come_back_where_they_were_and_are_recorded(folder: Path) -> None:
    with embedded.servers(folder) as running:
        _redis(running, "SET", "kept", "42")
        for server in running.servers.values():
            os.kill(server.pid, signal.SIGKILL)

        def back() -> bool:
            now = embedded.running(folder)
            if now is None or {*now.servers.values()} & {*running.servers.values()}:
                return False
            with contextlib.suppress(CommandError):
                now.check_servers()
                return True
            return False

        wait_for(back, "both servers")
        assert (_sql(running, "select 1"), _redis(running, "GET", "kept")) == ("1", "42")


def test_servers_that_outlived_a_killed_parent_are_ended_and_replaced(folder: Path) -> None:
    process, running = hold(folder)
    _redis(running, "SET", "kept", "42")
    orphans = [
        int((folder / record).read_text().split()[0])
        for record in ("valkey/valkey.pid", "postgres/data/postmaster.pid")
    ]
    process.kill()
    process.communicate()
    assert all(_lives(pid) for pid in orphans)
    assert embedded.running(folder) is None
    with embedded.servers(folder) as again:
        assert not any(_lives(pid) for pid in orphans)
        assert _redis(again, "GET", "kept") == "42"


def test_records_that_a_crash_left_empty_keep_neither_server_from_starting(folder: Path) -> None:
    with embedded.servers(folder) as running:
        _sql(running, "create table kept as select 42 as n")
    for record in ("valkey/valkey.pid", "postgres/data/postmaster.pid"):
        (folder / record).write_text("")
    with embedded.servers(folder) as running:
        assert _sql(running, "select n from kept") == "42"


def test_a_database_that_was_only_half_made_is_made_again(folder: Path) -> None:
    embedded.Postgres(folder / "postgres", password="x")._own_folder()
    half = folder / "postgres" / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with embedded.servers(folder) as running:
        assert _sql(running, "select 1") == "1"


def test_passwords_are_new_at_each_start_one_for_each_server_and_kept_nowhere_else(
    folder: Path,
) -> None:
    passwords = set()
    for _ in range(2):
        with embedded.servers(folder) as running:
            passwords |= {urlsplit(running.redis_url).password}
            passwords |= {urlsplit(running.database_url).password}
            _sql(running, "select 1")
            _redis(running, "PING")
    assert len(passwords) == 4


def test_secrets_stand_neither_in_the_process_list_nor_in_files_that_others_can_read(
    folder: Path,
) -> None:
    before = os.umask(0)
    try:
        with embedded.servers(folder) as running:
            secrets = [urlsplit(url).password for url in (running.redis_url, running.database_url)]
            shown = [
                path.read_bytes()
                for path in Path("/proc").glob("[0-9]*/cmdline")
                if _readable(path)
            ]
            assert any(b"valkey-server" in command for command in shown)
            for secret in secrets:
                assert secret
                assert not any(secret.encode() in command for command in shown)
            assert _open_to_others(folder) == []
    finally:
        os.umask(before)


def _open_to_others(folder: Path) -> list[Path]:
    """What others may read or write: of the folder itself, only the way through it is allowed."""
    inside = [folder, *(path for path in folder.iterdir())]
    return [path for path in inside if path.stat().st_mode & (0o066 if path == folder else 0o077)]


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_an_ordinary_user_may_run_them(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: every other test here runs as an ordinary user")
    nobody = pwd.getpwnam("nobody")
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(site.getsitepackages()),
    }
    python = next(
        (
            path
            for path in (sys.executable, shutil.which("python3", path="/usr/bin:/bin"))
            if path and _usable(path, environment, identity)
        ),
        None,
    )
    if python is None:
        pytest.skip("no interpreter of this version that the user nobody may run")
    process, running = hold(folder, python, env=environment, **identity)
    assert _sql(running, "select 1") == "1"
    assert (folder / "running.json").stat().st_uid == nobody.pw_uid
    process.send_signal(signal.SIGINT)
    assert (process.wait(30), process.communicate()[1]) == (0, "")


def _usable(python: str, environment: dict[str, str], identity: dict[str, Any]) -> bool:
    code = f"import msgspec, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        done = subprocess.run(
            [python, "-c", code], env=environment, cwd=ROOT, capture_output=True, **identity
        )
    except PermissionError:
        return False
    return done.returncode == 0


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    folder.write_text("not a folder")
    with (
        pytest.raises(CommandError, match=r"cannot write in .*/data/below: .*; set DATA_DIR"),
        embedded.servers(folder / "below"),
    ):
        pass


def _facts(path: Path) -> tuple[int, int, int]:
    facts = path.lstat()
    return facts.st_uid, facts.st_gid, facts.st_mode


@pytest.mark.parametrize("ours", [False, True])
def test_a_data_folder_that_others_can_change_is_refused_and_no_link_in_it_is_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    """A link of theirs leads to any folder: as root, we would give that away."""
    victims = [folder.parent / name for name in ("etc", "home", "file")]
    folder.mkdir()
    for victim, name in zip(victims, ("postgres", "valkey", "lock"), strict=True):
        victim.touch() if name == "lock" else victim.mkdir()
        victim.chmod(0o755)
        (folder / name).symlink_to(victim)
    if ours:
        folder.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    before = [_facts(path) for path in (folder, *victims)]
    said = "can be written by others" if ours else "belongs to "
    with (
        pytest.raises(CommandError, match=rf"cannot write in {folder}: .*{said}.*; set DATA_DIR"),
        embedded.servers(folder),
    ):
        pass
    assert [_facts(path) for path in (folder, *victims)] == before
    assert all(not any(victim.iterdir()) for victim in victims[:2])


def test_a_secret_is_made_once_and_private_again_where_it_was_put_back(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = embedded.kept_secret(path, "ak_r_")
    assert len(made) > 40
    path.chmod(0o644)
    assert embedded.kept_secret(path, "ak_r_") == made
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("")  # the disk was full
    assert embedded.kept_secret(path, "ak_r_") not in ("", made)


@pytest.mark.parametrize("name", ["postgres", "valkey", "lock", "key"])
def test_a_link_in_a_folder_of_ours_is_not_followed_either(folder: Path, name: str) -> None:
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    victim = folder.parent / "victim"
    victim.touch() if name in ("lock", "key") else victim.mkdir()
    victim.chmod(0o755)
    before = _facts(victim)
    (folder / name).symlink_to(victim)
    with pytest.raises((CommandError, OSError)), embedded.servers(folder):
        embedded.kept_secret(folder / "key")
    assert _facts(victim) == before
    assert not victim.is_dir() or not any(victim.iterdir())


def test_a_folder_of_yours_that_has_a_servers_name_stays_yours(folder: Path) -> None:
    yours = folder / "postgres"
    yours.mkdir(parents=True)
    folder.chmod(0o711)
    (yours / "notes").write_text("mine")
    before = _facts(yours)
    with pytest.raises(CommandError, match=rf"cannot use {yours}: .*; set DATA_DIR"):
        embedded.Postgres(yours, password="x").start()
    assert _facts(yours) == before


def test_a_folder_that_is_there_keeps_its_mode(folder: Path) -> None:
    """As root, the servers' account must get through: then it is told so, and nothing is opened."""
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        with (
            pytest.raises(CommandError, match=f"cannot enter {folder}; set DATA_DIR"),
            embedded.servers(folder),
        ):
            pass
    else:
        with embedded.servers(folder):
            pass
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_log_that_is_a_link_is_not_written(folder: Path) -> None:
    with embedded.servers(folder):
        pass
    other = folder.parent / "other"
    other.write_text("mine")
    log = folder / "valkey" / "valkey.log"
    log.unlink()
    log.symlink_to(other)
    with pytest.raises(CommandError, match="cannot write"), embedded.servers(folder):
        pass
    log.unlink()
    other.chmod(0o600)
    log.hardlink_to(other)
    with pytest.raises(CommandError, match="cannot write"), embedded.servers(folder):
        pass
    assert other.read_text() == "mine"


def test_a_folder_may_have_spaces_and_an_apostrophe_in_its_name(folder: Path) -> None:
    with embedded.servers(folder / "my data's") as running:
        assert (_sql(running, "select 1"), _redis(running, "SET", "a", "b")) == ("1", True)


def _program() -> None:
    with embedded.servers(Path(sys.argv[1])) as running:
        print(msgspec.json.encode(running).decode(), flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    _program()
