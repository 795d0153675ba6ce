"""The servers of `analytics run` end under load: they come back, and nothing that was acknowledged
is lost.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from analytics import embedded
from analytics.embedded import free_port
from analytics.errors import CommandError
from analytics.settings import ROLES
from tests import forking
from tests.faults.figures import often
from tests.faults.load import Load, recovered, settled
from tests.faults.platform import Platform, Role, http_get
from tests.faults.test_postgres import fill
from tests.servers import temporary_folder
from tests.waiting import wait_for


class Single(Platform):
    """A platform in one process, with servers of its own, as `analytics run` makes it."""

    def __enter__(self) -> "Single":
        super().__enter__()
        return self

    def _start(self) -> None:
        ports = {f"{role.upper()}_PORT": str(free_port()) for role in ROLES}
        for name in ("ENVIRONMENT", "API_KEYS"):
            del self.environment[name]
        self.environment |= {"DATA_DIR": str(self.data), **ports}
        self.main = Role(self, "run", int(ports["COLLECTOR_PORT"]))
        self.roles.append(self.main)
        with self.main.log.open("ab") as log:
            self.main.process = forking.Process(
                ("run",), env=self.environment, stdout=log, stderr=log
            )
        for port in ports.values():
            url = f"http://127.0.0.1:{port}/health"
            wait_for(lambda url=url: http_get(url)[0] == 200, self.main.tail())  # type: ignore[misc]
        running = self.running()
        redis = urlsplit(running.redis_url)
        assert redis.port
        assert redis.password
        self.valkey.port, self.valkey.password = redis.port, redis.password
        self.database_url = running.database_url

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def running(self) -> embedded.Running:
        running = embedded.running(self.data)
        assert running
        return running

    def __exit__(self, *_: object) -> None:
        if self.main.process is not None and self.main.process.poll() is None:
            self.main.end(signal.SIGTERM)  # it takes its servers along
        super().__exit__()

    def come_back(self, before: embedded.Running, *names: str) -> None:
        """Wait until these servers, which have ended, run again."""

        def back() -> bool:
            with contextlib.suppress(CommandError):
                running = self.running()
                running.check_servers()
                return all(running.servers[name] != before.servers[name] for name in names)
            return False

        wait_for(back, f"{' and '.join(names)}")


@pytest.fixture
def single(request: pytest.FixtureRequest) -> Iterator[Single]:
    with temporary_folder("fault") as folder, Single(folder) as platform:
        yield platform
        request.node.user_properties.append(("figures", msgspec.to_builtins(platform.figures)))


@pytest.mark.parametrize("names", [("valkey",), ("postgres",), ("valkey", "postgres")])
def test_servers_that_are_killed_under_load_come_back_and_lose_nothing(
    single: Single, names: tuple[str, ...]
) -> None:
    with Load(single.main) as load:
        load.wait_for_more(200)
        for _ in range(often(3, 2)):
            before = single.running()
            for name in names:
                os.kill(before.servers[name].pid, signal.SIGKILL)
                single.figures.kills += 1
            single.come_back(before, *names)
            recovered(single, load)
            doctor = single.run("doctor")
            assert "✗" not in doctor
            assert f"process {before.pid}" in doctor
            assert "settings named below are those of this terminal" in doctor
            assert "complete until" in single.run("query", "trends", "--last", "1h")
    settled(single, load, single.main)


def test_a_disk_that_was_full_for_a_while_costs_nothing_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with temporary_folder("fault") as folder:
        disk = folder / "data"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=300m,mode=0711", "tmpfs", str(disk)]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"a small disk can only be mounted by root: {mounted.stderr.strip()}")
        try:
            with Single(folder) as platform:
                with Load(platform.main) as load:
                    load.wait_for_more(200)
                    before = platform.running()
                    fill(disk / "filler")
                    wait_for(lambda: not before.servers["valkey"].runs(), "Valkey to end")
                    (disk / "filler").unlink()
                    platform.come_back(before, "valkey")
                    recovered(platform, load)
                settled(platform, load, platform.main)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)
