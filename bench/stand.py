"""What the benchmarks share: servers, roles as processes, load, and CPU time."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analytics.embedded import Postgres, Valkey, create_database, free_port
from analytics.settings import Settings
from analytics.stores import migrate

TICK = os.sysconf("SC_CLK_TCK")
DATABASE = "bench"
KEY = "bench"


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all its descendants, including ended ones."""
    pids, total = [pid], 0
    while pids:
        pid = pids.pop()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                pids += map(int, children.read_text().split())
    return total / TICK


class Role:
    """A role, or another server, as a process that answers on a port."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        port: int,
        variables: Mapping[str, str],
        path: str = "/health/live",
    ) -> None:
        self.name = name
        self.port = port
        self.process = subprocess.Popen(argv, env={**os.environ, **variables})
        end = time.monotonic() + 40
        while not self._answers(path):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the {name} did not start")
            time.sleep(0.02)

    def _answers(self, path: str) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Stand:
    """A PostgreSQL and a Valkey in a temporary folder, and roles that are started on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres(
            folder / "postgres", password="bench", shared_buffers="512MB", max_wal_size="4GB"
        )
        self.valkey = Valkey(folder / "valkey", password="bench", maxmemory="2gb")
        self.roles: list[Role] = []

    def fresh(self) -> None:
        """Empty tables and an empty queue."""
        self.postgres.execute(f"drop database if exists {DATABASE} with (force)")
        create_database(self.postgres, DATABASE)
        migrate(self.postgres.url(DATABASE), Settings())
        self.redis("FLUSHALL")

    def redis(self, *words: str) -> Any:
        import redis

        with redis.Redis.from_url(self.valkey.url) as client:
            return client.execute_command(*words)

    def start(self, role: str, **variables: str) -> Role:
        """One role as a process, as an operator would start it."""
        port = free_port()
        urls = {
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": self.postgres.url(DATABASE),
            "API_KEYS": KEY,
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        environment = {
            **urls,
            "LOG_LEVEL": "error",
            "ENVIRONMENT": "production",
            "SHUTDOWN_DELAY": "0",
            **variables,
        }
        started = Role(
            role, [sys.executable, "-m", "analytics", "run", f"--role={role}"], port, environment
        )
        self.roles.append(started)
        return started

    def stop(self, *roles: Role) -> None:
        for role in roles:
            role.stop()
            self.roles.remove(role)

    def rows(self) -> int:
        return int(self.sql("select count(*) from raw_events"))

    def sql(self, statement: str) -> str:
        psql = [
            self.postgres.program("psql"),
            *("-XqAt", "-v", "ON_ERROR_STOP=1"),
            *("-d", self.postgres.url(DATABASE), "-c", statement),
        ]
        return subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip()

    def queued(self) -> int:
        return int(self.redis("HGET", "analytics:books", "queued") or 0)

    def drained(self, seconds: float = 120) -> None:
        """Wait until the queue is empty."""
        end = time.monotonic() + seconds
        while self.queued():
            if time.monotonic() > end:
                raise SystemExit("the queue did not drain")
            time.sleep(0.02)


@contextlib.contextmanager
def stand() -> Iterator[Stand]:
    folder = Path(tempfile.mkdtemp(prefix="analytics-bench-"))
    folder.chmod(0o711)
    servers = Stand(folder)
    try:
        servers.postgres.start()
        servers.valkey.start()
        servers.fresh()
        yield servers
    finally:
        servers.stop(*servers.roles)
        servers.valkey.stop()
        servers.postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def load(port: int, **options: Any) -> dict[str, Any]:
    """Run the load client until it ends; its result."""
    words = [
        word
        for name, value in options.items()
        if value is not None
        for word in (f"--{name}", str(value))
    ]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", str(port), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result
