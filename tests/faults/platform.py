"""A whole platform as processes that can be killed one by one: Valkey, PostgreSQL and the roles,
each restarted on its own port.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from analytics.embedded import Postgres, Valkey, create_database, free_port
from analytics.redis import key_mirror
from analytics.settings import Settings
from analytics.stores import migrate
from tests import forking
from tests.faults.figures import Figures
from tests.servers import PASSWORD, postgres, psql, shared, temporary_folder

API_KEY = "fault-tests"
START_SECONDS = 40.0
ROOT = Path(__file__).parents[2]


def http_get(url: str, key: str = API_KEY) -> tuple[int, bytes]:
    """Status and body; status 0 when nothing answers."""
    request = urllib.request.Request(url, headers={"X-API-Key": key})  # noqa: S310 - always our own http://127.0.0.1
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Processes that stand still: their connections stay open and answer nothing."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Role:
    """One role as a process: forked, or `program`.

    `program` are Python's arguments for a program that runs the role with a fault built in.
    """

    def __init__(
        self, platform: "Platform", name: str, port: int, program: tuple[str, ...] | None = None
    ) -> None:
        self.platform = platform
        self.name = name
        self.port = port
        self.program = program
        self.process: subprocess.Popen[bytes] | forking.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.platform.folder / f"{self.name}-{self.port}.log"

    def start(self, *, wait: bool = True) -> "Role":
        """Start it; with `wait`, until it is healthy."""
        with self.log.open("ab") as log:
            env = {**self.platform.environment, "PORT": str(self.port)}
            if self.program:
                command = [sys.executable, *self.program]
                self.process = subprocess.Popen(
                    command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT
                )
            else:
                words = ("run", f"--role={self.name}")
                self.process = forking.Process(words, env=env, stdout=log, stderr=log)
        if wait:
            self.wait_until_healthy()
        return self

    def wait_until_healthy(self) -> None:
        end = time.monotonic() + START_SECONDS
        while (answer := http_get(f"{self.url}/health"))[0] != 200:
            assert self.process is not None
            assert self.process.poll() is None, f"the {self.name} ended:\n{self.tail()}"
            assert time.monotonic() < end, (
                f"the {self.name} is not healthy: {answer}\n{self.tail()}"
            )
            time.sleep(0.05)

    def end(self, sig: signal.Signals) -> int:
        """Send a signal, wait for the end and return the exit status."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(sig)
        return process.wait(40)

    def kill(self) -> None:
        """End it as the kernel's out-of-memory killer would."""
        self.end(signal.SIGKILL)
        self.platform.figures.kills += 1

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped, neither dead nor alive; it goes on afterwards."""
        with stopped(self.pid):
            yield

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-9000:] if self.log.exists() else ""


@functools.cache
def template() -> Path:
    """PostgreSQL's data folder with the migrated database `analytics`, made once for all platforms
    of this process: to copy it takes a tenth of the time.
    """
    folder = shared.enter_context(temporary_folder("template"))
    with postgres(folder / "postgres") as server:
        create_database(server, "analytics")
        migrate(server.url("analytics"), Settings())
        server.stop()
        return server.data


class Platform:
    """Servers and roles in one folder. Environment entries given here reach every role."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.figures = Figures()
        self.valkey = Valkey(folder / "valkey", password=PASSWORD)
        self.postgres = Postgres(folder / "postgres", password=PASSWORD, fsync="off")
        self.roles: list[Role] = []
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START")
            },
            "ENVIRONMENT": "production",
            "HOST": "127.0.0.1",
            "SHUTDOWN_DELAY": "0",
            "JOB_TIMEOUT": "3",
            "API_KEYS": API_KEY,
            **environment,
        }

    def __enter__(self) -> "Platform":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.postgres._own_folder()
        subprocess.run(["cp", "-a", str(template()), str(self.postgres.data)], check=True)
        self.valkey.start()
        self.postgres.start()
        self.database_url = self.postgres.url("analytics")
        self.environment |= {"REDIS_URL": self.valkey.url, "DATABASE_URL": self.database_url}
        # as processors left it: a collector that is started first would wait for the mirror of keys
        self.redis("SET", key_mirror.SYNCED, "before")

    def __exit__(self, *_: object) -> None:
        for role in self.roles:
            if role.process is not None:
                role.end(signal.SIGKILL)
        self.postgres.stop()
        self.valkey.kill()

    def restart(self, server: Postgres | Valkey) -> None:
        """End a server as a crash would, and start it again."""
        self.kill(server)
        server.start()

    def kill(self, server: Postgres | Valkey) -> None:
        """End a server as a crash would."""
        server.kill()
        self.figures.kills += 1

    def role(self, name: str, *, wait: bool = True, program: tuple[str, ...] | None = None) -> Role:
        """Start another process of a role on a port of its own."""
        role = Role(self, name, free_port(), program)
        self.roles.append(role)
        return role.start(wait=wait)

    def run(self, *words: str) -> str:
        """What `analytics` prints for a command that must not fail."""
        # a command is not tried again, as a job is: a busy machine must not end it
        done = forking.run(*words, env={**self.environment, "JOB_TIMEOUT": "30"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, statement: str) -> str:
        """What psql prints for one statement."""
        return psql(self.postgres.program("psql"), self.database_url, statement)

    def redis(self, *words: str | float) -> Any:
        """One Redis command, decoded by redis-py."""
        from redis import Redis

        with Redis.from_url(self.valkey.url, socket_timeout=60) as client:
            return client.execute_command(*words)

    def books(self) -> dict[str, int]:
        """The books as Redis holds them now."""
        pairs: dict[bytes, bytes] = self.redis("HGETALL", "analytics:books")
        accounts = {name.decode(): int(value) for name, value in pairs.items()}
        return {
            name: accounts.get(name, 0)
            for name in ("accepted", "stored", "duplicate", "dead_lettered", "queued")
        }

    def drained(self) -> bool:
        return self.books()["queued"] == 0

    def get(self, role: Role, path: str) -> Any:
        """The JSON that a role answers with status 200."""
        status, body = http_get(f"{role.url}{path}")
        assert status == 200, (status, body, role.tail())
        return msgspec.json.decode(body)
