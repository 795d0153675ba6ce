"""`analytics run`: from one command to an answer, and an end that leaves nothing behind."""

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analytics.embedded import free_port
from analytics.settings import ROLES
from tests.servers import temporary_folder
from tests.waiting import wait_for


class Run:
    """One `analytics run` with a data folder and ports of its own."""

    def __init__(
        self, folder: Path, *arguments: str, under: tuple[str, ...] = (), **environment: str
    ) -> None:
        """`under` is a command that starts it, such as nohup."""
        self.folder = folder
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "PYTHONPATH")
        }
        kept |= {
            "DATA_DIR": str(folder),
            **{f"{role.upper()}_PORT": str(free_port()) for role in ROLES},
            **environment,
        }
        self.output = folder.with_suffix(".out")
        with self.output.open("w") as output:
            command = [*under, sys.executable, "-m", "analytics", "run", *arguments]
            self.process = subprocess.Popen(
                command, env=kept, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def screen(self) -> str:
        """All that it printed, once it is ready."""
        wait_for(
            lambda: "Ctrl-C ends it" in self.text() or self.process.poll() is not None, "the screen"
        )
        assert self.process.poll() is None, self.text()
        return self.text()

    def text(self) -> str:
        return self.output.read_text()

    def servers(self) -> list[int]:
        """The process ids of its PostgreSQL and its Valkey."""
        return [
            int((self.folder / record).read_text().split()[0])
            for record in ("valkey/valkey.pid", "postgres/data/postmaster.pid")
        ]

    def end(self, sig: signal.Signals) -> int:
        self.process.send_signal(sig)
        return self.process.wait(60)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder below one that the servers' account can enter."""
    with temporary_folder("test") as folder:
        yield folder / "data"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Run]]:
    """Starts runs in one folder; whatever still runs at the end is stopped."""
    runs: list[Run] = []

    def begin(*arguments: str, under: tuple[str, ...] = (), **environment: str) -> Run:
        runs.append(Run(folder, *arguments, under=under, **environment))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.end(signal.SIGTERM)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _curl(line: str) -> Any:
    """What curl would answer to its line on the screen; a fresh machine has none."""
    _, *options, url = shlex.split(line)
    request = urllib.request.Request(url)  # noqa: S310 - our own
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "-d":
            request.data = value.encode()
        else:
            assert option == "-H"
            request.add_header(*value.split(": "))
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own
        return msgspec.json.decode(answer.read())


def test_what_the_screen_says_works_and_sigterm_ends_all_of_it(start: Callable[..., Run]) -> None:
    run = start()
    screen = run.screen()
    send, ask = re.findall(r"^ +(curl .*)$", screen, re.MULTILINE)
    assert _curl(send) == {"accepted": 1, "rejected": []}
    wait_for(lambda: _curl(ask)["data"]["series"][0]["total"] == 1, "the event to be counted")
    servers = run.servers()
    assert all(lives(pid) for pid in servers)
    assert run.end(signal.SIGTERM) == 0
    assert not any(lives(pid) for pid in servers)
    assert "Traceback" not in run.text()


def test_key_and_events_are_kept_from_run_to_run(start: Callable[..., Run], folder: Path) -> None:
    first = start()
    send, ask = re.findall(r"^ +(curl .*)$", first.screen(), re.MULTILINE)
    _curl(send)
    first.end(signal.SIGINT)
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    key = (folder / "key").read_text()
    again = start("--role=api", "--role=processor")
    screen = again.screen()
    assert key in screen
    assert "/collect" not in screen
    [ask] = re.findall(r"^ +(curl .*)$", screen, re.MULTILINE)
    wait_for(
        lambda: _curl(ask)["data"]["series"][0]["total"] == 1,
        "the event of the first run to be counted",
    )


def test_where_a_write_key_is_needed_the_screen_has_one(start: Callable[..., Run]) -> None:
    run = start(REQUIRE_WRITE_KEY="true")
    send, ask = re.findall(r"^ +(curl .*)$", run.screen(), re.MULTILINE)
    assert _curl(send) == {"accepted": 1, "rejected": []}
    wait_for(lambda: _curl(ask)["data"]["series"][0]["total"] == 1, "the event to be counted")
    run.end(signal.SIGTERM)
    again = start("--role=collector", REQUIRE_WRITE_KEY="true").screen()
    [send_again] = re.findall(r"^ +(curl .*)$", again, re.MULTILINE)
    key = re.findall(r"ak_w_[\w-]+", send)
    assert re.findall(r"ak_w_[\w-]+", send_again) == key
    assert _curl(send_again) == {"accepted": 1, "rejected": []}


def test_the_screens_commands_work_with_every_curl(start: Callable[..., Run]) -> None:
    """--json came with 7.82, which is newer than what many have."""
    assert "--json" not in start("--role=collector").screen()


FINDS = """
import sys
from pathlib import Path
import analytics.commands, analytics.commands.run, analytics.settings.environment
for module in (analytics.settings.environment, analytics.commands, analytics.commands.run):
    module.data_folder = lambda env=None: Path(sys.argv[1])
from analytics.cli import main
main(sys.argv[2:])
"""
"""`analytics` of a user whose data folder is the first argument."""


def test_a_platform_with_a_folder_of_its_own_is_found_from_the_next_terminal(
    folder: Path,
) -> None:
    base = str(folder.parent / "home")
    command = (sys.executable, "-c", FINDS, base)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}

    def analytics(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*command, *words], env=kept, capture_output=True, text=True)

    nothing = analytics("query", "trends")
    assert (nothing.returncode, "start `analytics run`" in nothing.stderr) == (2, True)
    ports = {f"{role.upper()}_PORT": str(free_port()) for role in ROLES}
    with (folder.parent / "out").open("w") as output:
        process = subprocess.Popen(
            [*command, "run"],
            env={**kept, **ports, "DATA_DIR": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: analytics("query", "trends").returncode == 0, "an answer")
        doctor = analytics("doctor").stdout
        assert f"process {process.pid} with its data in {folder}" in doctor
        assert "✗" not in doctor
        assert f"runs on port {ports['API_PORT']}" in doctor
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert analytics("query", "trends").returncode == 2


@pytest.mark.parametrize("ports", ["the same ports", "other ports"])
def test_a_second_start_says_that_one_runs(start: Callable[..., Run], ports: str) -> None:
    port = str(free_port())
    first = start("--role=collector", PORT=port)
    first.screen()
    second = start("--role=collector", PORT=port if ports == "the same ports" else str(free_port()))
    assert second.process.wait(60) == 1
    assert f"already runs here (process {first.process.pid})" in second.text()
    assert second.text().count("\n") == 1
    assert first.process.poll() is None


@pytest.mark.parametrize("pause", [0.0005, 0.002, 0.05])
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_until_it_has_ended_leave_no_server_behind(
    start: Callable[..., Run], sig: signal.Signals, pause: float
) -> None:
    run = start("--role=collector")
    run.screen()
    servers = run.servers()
    deadline = time.monotonic() + 60
    while run.process.poll() is None:
        assert time.monotonic() < deadline, run.text()
        run.process.send_signal(sig)
        time.sleep(pause)
    assert run.process.returncode == 0, run.text()
    assert not any(lives(pid) for pid in servers)
    assert "Traceback" not in run.text()


@pytest.mark.parametrize("pause", [0.1, 0.4, 1.0])
def test_a_signal_at_any_moment_of_its_start_leaves_no_server_behind(
    start: Callable[..., Run], folder: Path, pause: float
) -> None:
    run = start("--role=collector")
    time.sleep(pause)
    status = run.end(signal.SIGTERM)
    # before it has read its own name, it ends as any program does
    assert status in (0, -signal.SIGTERM), run.text()
    assert "Traceback" not in run.text()
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if _works_in(pid, folder)]


@pytest.mark.parametrize(
    "begun", ["valkey", "postgres/data", "postgres/data/postmaster.pid", "key"]
)
def test_a_signal_while_servers_start_leaves_none_behind(
    start: Callable[..., Run], folder: Path, begun: str
) -> None:
    """The signal comes when this part of its folder is there."""
    run = start("--role=collector")
    wait_for((folder / begun).exists, f"{begun} in its folder")
    assert run.end(signal.SIGTERM) == 0, run.text()
    assert "Traceback" not in run.text()
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if _works_in(pid, folder)]


def test_what_nohup_starts_outlives_its_terminal(start: Callable[..., Run]) -> None:
    run = start("--role=collector", under=("nohup",))
    [send] = re.findall(r"^ +(curl .*)$", run.screen(), re.MULTILINE)
    run.process.send_signal(signal.SIGHUP)
    assert _curl(send)["accepted"] == 1
    assert run.process.poll() is None
    assert run.end(signal.SIGTERM) == 0, run.text()


IMPATIENT = """
from analytics.embedded import supervisor
supervisor.PAUSES_SECONDS = (0.0,)
"""


def test_servers_that_cannot_be_kept_running_end_it_in_one_line(
    start: Callable[..., Run], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(IMPATIENT)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = start("--role=collector", PYTHONPATH=path)
    run.screen()
    (folder / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    servers = run.servers()
    os.kill(servers[0], signal.SIGKILL)
    assert run.process.wait(60) == 1, run.text()
    last = run.text().splitlines()[-1]
    assert re.fullmatch(r"analytics: the embedded valkey ended: .*valkey\.log; 1 new .*", last)
    assert "Traceback" not in run.text()
    assert not any(lives(pid) for pid in servers)


def test_a_port_that_does_not_count_and_a_misspelt_setting_are_said(
    start: Callable[..., Run],
) -> None:
    run = start("--role=collector", "--role=realtime", PORT="4321", RETENTION_DAY="7")
    screen = run.screen()
    assert re.search(r"warning .*PORT is 4321, but .* set COLLECTOR_PORT, REALTIME_PORT", screen)
    assert re.search(r"warning .*RETENTION_DAY is set, .* RETENTION_DAYS\?", screen)


def test_two_roles_on_one_port_are_both_named_before_anything_starts(
    start: Callable[..., Run], folder: Path
) -> None:
    run = start("--role=collector", "--role=api", API_PORT="4001", COLLECTOR_PORT="4001")
    assert run.process.wait(60) == 2
    assert run.text() == (
        "analytics: COLLECTOR_PORT and API_PORT are both 4001; each role needs a port of its own\n"
    )
    assert not folder.exists()


def test_one_start_says_all_that_is_wrong_and_all_that_is_missing(
    start: Callable[..., Run],
) -> None:
    run = start(ENVIRONMENT="production", BOTS="shoot", API_KEY="misspelt")
    assert run.process.wait(60) == 2
    [line] = run.text().splitlines()
    for said in ("BOTS is wrong", "REDIS_URL is not set", "DATABASE_URL is not set", "API_KEYS?"):
        assert said in line


DEAF = """
import os, signal, sys

class Deaf:
    def find_spec(self, name, path, target=None):
        if name == "{}":
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except BaseException:
                pass

sys.meta_path.insert(0, Deaf())
"""
"""Beside the program, this makes one module swallow a signal while it is imported, as some that are
written in C do.
"""


@pytest.mark.parametrize(
    "module", ["analytics.stores.schema", "analytics.roles.collector.collector"]
)
def test_a_module_that_swallows_a_signal_does_not_keep_it_from_ending(
    start: Callable[..., Run], folder: Path, tmp_path: Path, module: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DEAF.format(module))
    run = start("--role=collector", PYTHONPATH=str(tmp_path))
    assert run.process.wait(60) == 0, run.text()
    assert "Traceback" not in run.text()
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if _works_in(pid, folder)]


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").resolve().is_relative_to(folder) and lives(int(process.name))
    except OSError:
        return False


def test_a_redis_that_may_evict_is_refused_in_one_line(
    redis_at_fault: str, database_url: str, start: Callable[..., Run]
) -> None:
    run = start("--role=collector", REDIS_URL=redis_at_fault, DATABASE_URL=database_url)
    assert run.process.wait(60) == 2
    assert re.search(r"^analytics: .*maxmemory-policy is allkeys-lru.*$", run.text(), re.MULTILINE)
    assert "Traceback" not in run.text()


@pytest.fixture
def redis_at_fault(server_folder: Path) -> Iterator[str]:
    from tests.servers import valkey

    with valkey(server_folder / "evicting", **{"maxmemory-policy": "allkeys-lru"}) as server:
        yield server.url
