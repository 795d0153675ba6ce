"""A platform as docs/operations sets it up: database accounts with least rights, two of each role
that the world reaches, nginx before them.
"""

import os
import subprocess
import sys
from pathlib import Path

from analytics.embedded import create_database
from tests.deploy.front import Front
from tests.deploy.programs import ROOT, run
from tests.faults.platform import Platform, Role

OWNER, READER = "owner-password", "reader-password"


class Deployed(Platform):
    """The owner's account migrates and processes, the reader's answers; the others have none."""

    front: Front

    def __init__(self, folder: Path, *, release: Path = ROOT, **environment: str) -> None:
        """`release` is the checkout whose schema it starts with."""
        super().__init__(folder, **environment)
        self.release = release

    def __enter__(self) -> "Deployed":
        super().__enter__()
        return self

    def start_servers(self) -> None:
        self.valkey.start()
        self.postgres.start()
        create_database(self.postgres, "analytics")
        self.database_url = self.postgres.url("analytics")
        self.apply_roles()
        self.environment |= {
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": self.url_of("analytics", OWNER),
        }

    def _start(self) -> None:
        self.start_servers()
        self.migrate(self.release)

    def apply_roles(self) -> None:
        """docs/operations/roles.sql, as an operator runs it."""
        env = {**os.environ, "OWNER_PASSWORD": OWNER, "READER_PASSWORD": READER}
        run(
            self.postgres.program("psql"),
            "-q",
            "-d",
            self.database_url,
            "-f",
            ROOT / "docs/operations/roles.sql",
            env=env,
        )

    def migrate(self, cwd: Path = ROOT) -> None:
        subprocess.run(
            [sys.executable, "-m", "analytics", "migrate"],
            cwd=cwd,
            env=self.environment,
            check=True,
            capture_output=True,
        )

    def url_of(self, account: str, password: str) -> str:
        return f"postgresql://{account}:{password}@127.0.0.1:{self.postgres.port}/analytics"

    def role(self, name: str, *, wait: bool = True, program: tuple[str, ...] | None = None) -> Role:
        """A role with the account that it gets: an owner's for the processor, a reader's for the
        api, none for the others.
        """
        before = self.environment
        url = {
            "processor": self.url_of("analytics", OWNER),
            "api": self.url_of("analytics_reader", READER),
        }.get(name)
        self.environment = {
            key: value for key, value in before.items() if key != "DATABASE_URL"
        } | ({"DATABASE_URL": url} if url else {})
        try:
            return super().role(name, wait=wait, program=program)
        finally:
            self.environment = before

    def all_of(self, name: str) -> list[Role]:
        return [role for role in self.roles if role.name == name]

    def ports(self, name: str) -> list[int]:
        return [role.port for role in self.all_of(name)]
