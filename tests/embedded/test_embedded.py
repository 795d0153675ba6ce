"""The embedded servers start, refuse a second start, keep their data and leave nothing behind. Run
as a program, this file holds them.
"""

import json
import os
import pwd
import shutil
import signal
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analytics import embedded
from analytics.errors import CommandError
from tests.servers import psql

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


def _hold(
    folder: Path, python: str = sys.executable, **options: Any
) -> tuple[subprocess.Popen[str], embedded.Running]:
    """This file as a program that holds the servers of `folder`, once they run."""
    command = [python, "-m", "tests.embedded.test_embedded", str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, embedded.Running(**json.loads(line))


def test_data_is_kept_from_run_to_run(folder: Path) -> None:
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
        assert _redis(running, "PING")
    assert embedded.running(folder) is None


def test_servers_that_outlived_a_killed_parent_are_ended_and_replaced(folder: Path) -> None:
    process, running = _hold(folder)
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
    half = folder / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with embedded.servers(folder) as running:
        assert _sql(running, "select 1") == "1"


def test_secrets_stand_neither_in_the_process_list_nor_in_files_that_others_can_read(
    folder: Path,
) -> None:
    with embedded.servers(folder):
        secret = (folder / "secret").read_text()
        commands = [
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)
        ]
        assert any(b"valkey-server" in command for command in commands)
        assert not any(secret.encode() in command for command in commands)
        open_files = [
            path for path in folder.glob("*") if path.is_file() and path.stat().st_mode & 0o077
        ]
        assert not any(secret in path.read_text() for path in open_files)
        assert {
            path.stat().st_mode & 0o777 for path in (folder / "postgres", folder / "valkey")
        } == {0o700}


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
    process, running = _hold(folder, python, env=environment, **identity)
    assert _sql(running, "select 1") == "1"
    assert (folder / "secret").stat().st_uid == nobody.pw_uid
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


def test_a_folder_may_have_spaces_and_an_apostrophe_in_its_name(folder: Path) -> None:
    with embedded.servers(folder / "my data's") as running:
        assert (_sql(running, "select 1"), _redis(running, "SET", "a", "b")) == ("1", True)


def _program() -> None:
    with embedded.servers(Path(sys.argv[1])) as running:
        print(
            json.dumps(
                {
                    "pid": running.pid,
                    "redis_url": running.redis_url,
                    "database_url": running.database_url,
                }
            ),
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    _program()
