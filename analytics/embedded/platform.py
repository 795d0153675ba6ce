"""Both servers: started, watched, recorded for other commands, and stopped."""

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType

from analytics import file_lock, private_files
from analytics.embedded.platforms import announced
from analytics.embedded.postgres import Postgres, create_database
from analytics.embedded.processes import Process
from analytics.embedded.running import RECORD, Running, already_runs
from analytics.embedded.server import Server, uninterrupted
from analytics.embedded.supervisor import Supervisor
from analytics.embedded.valkey import Valkey
from analytics.errors import CommandError


@contextlib.contextmanager
def servers(
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
    *,
    roles: Mapping[str, str] = MappingProxyType({}),
    failure: "Future[None] | None" = None,
    base: Path | None = None,
) -> Iterator[Running]:
    """Run both servers, with a database named `analytics`, until the context ends.

    A server that ends is started again; `failure` gets the error when that does not help. `roles`
    are recorded for other commands, which look for platforms in `base`. Raises CommandError when
    another process uses `folder`, when it cannot be written, or when others may change it.
    """
    try:
        folder = private_files.claim_data(folder)
        lock = file_lock.acquire(folder / "lock")
    except OSError as error:
        raise CommandError(
            f"cannot write in {folder}: {error.strerror}; set DATA_DIR to a folder of your own"
        ) from error
    if lock is None:
        raise already_runs(folder)
    with lock:
        pair = _Pair(folder, say, roles, failure or Future())
        try:
            running = pair.start()
            with announced(folder, base) if base else contextlib.nullcontext():
                yield running
        finally:
            pair.stop()


class _Pair:
    """The two servers of one run."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        roles: Mapping[str, str],
        failure: "Future[None]",
    ) -> None:
        self._folder, self._say, self._roles = folder, say, roles
        # of this run alone, and each server's own: what leaks from one opens nothing else
        self._postgres = Postgres(folder / "postgres", password=secrets.token_urlsafe(32))
        self._valkey = Valkey(folder / "valkey", password=secrets.token_urlsafe(32))
        self._servers: tuple[Server, ...] = (self._valkey, self._postgres)
        self._supervisors = [Supervisor(each, self._record, failure) for each in self._servers]
        self._lock = threading.Lock()

    def start(self) -> Running:
        """Start both, record them, and watch them from here on."""
        (self._folder / "secret").unlink(missing_ok=True)  # an older release kept one
        if not self._postgres.data.exists():
            self._say(f"making a database in {self._folder} (once)")
        self._valkey.start()
        self._postgres.reset_password()
        self._postgres.start()
        create_database(self._postgres, "analytics")
        running = self._record()
        for supervisor in self._supervisors:
            supervisor.start()
        return running

    def stop(self) -> None:
        with uninterrupted():
            for supervisor in self._supervisors:
                supervisor.stop()
            (self._folder / RECORD).unlink(missing_ok=True)
            for server in reversed(self._servers):
                server.stop()

    def _record(self) -> Running:
        """Write down where the servers are, those that are ready."""
        with self._lock:
            running = Running(
                process=Process.of(os.getpid()),
                redis_url=self._valkey.url,
                # without it PGSSLMODE would decide
                database_url=self._postgres.url("analytics") + "?sslmode=disable",
                servers={each.name: Process.of(each.pid) for each in self._servers if each.ready},
                roles=dict(self._roles),
            )
            running.write(self._folder)
            return running
