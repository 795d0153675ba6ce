"""A PostgreSQL and a Valkey for development: started and stopped with `analytics run`.

`platform.py`   both servers, while they run       `running.py`    which platform runs, and where
`server.py`     a server as a child process        `platforms.py`  all platforms of this user
`postgres.py`   the one, from its wheel            `valkey.py`     the other
`supervisor.py`  starts a server that ended again  `processes.py`  what the kernel says of them
`ports.py`      ports that nobody else gets        `programs.py`   the programs of a wheel
`account.py`    the user whom the servers run as
"""

import contextlib
import secrets
from pathlib import Path

from analytics import private_files
from analytics.embedded.platform import servers
from analytics.embedded.platforms import found
from analytics.embedded.ports import free_port
from analytics.embedded.postgres import Postgres, create_database
from analytics.embedded.running import Running, refuse_second, running
from analytics.embedded.server import uninterrupted
from analytics.embedded.valkey import Valkey

__all__ = [
    "Postgres",
    "Running",
    "Valkey",
    "create_database",
    "found",
    "free_port",
    "kept_secret",
    "refuse_second",
    "running",
    "servers",
    "uninterrupted",
]


def kept_secret(path: Path, prefix: str = "") -> str:
    """`prefix` and 256 random bits: made once, kept in a file that only this user can read."""
    text = ""
    with contextlib.suppress(FileNotFoundError):
        text = private_files.read(path).decode().strip()
    if not text:
        text = prefix + secrets.token_urlsafe(32)
        private_files.replace(path, text.encode())
    elif path.stat().st_mode & 0o077:  # a copy that was put back
        path.chmod(private_files.MODE)
    return text
