"""Somebody who reads the docs and types what they say, on a machine with nothing but a clone."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from analytics.embedded import free_port
from analytics.settings import ROLES, Settings
from tests.pages import ROOT, Terminal, environment
from tests.servers import temporary_folder
from tests.waiting import wait_for

DEFAULTS = {role: Settings().port_of(role, ROLES) for role in ROLES}
"""The ports that the docs name."""


class Reader:
    """Somebody with a clone of the project, two terminals, and an empty home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "analytics"
        self.ports = {role: free_port() for role in ROLES}
        variables = {f"{role.upper()}_PORT": str(port) for role, port in self.ports.items()}
        if os.geteuid() == 0:
            variables["DATA_DIR"] = str(folder / ".local/share/analytics")
        self.environment = environment(folder, **variables)
        self._clone()
        self.terminal = Terminal(self.folder, self.environment)
        self._running: subprocess.Popen[str] | None = None
        self._screen = folder / "screen"

    def _clone(self) -> None:
        """Copy what git would, with the times of the files, beside the environment of the tests."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        self._link_environment()

    def _link_environment(self) -> None:
        """The environment of the tests, installed just now as make sees it."""
        here = self.folder / ".venv"
        here.mkdir()
        for name in ("bin", "include", "lib", "lib64", "pyvenv.cfg"):
            (here / name).symlink_to((ROOT / ".venv" / name).resolve())
        for name in (".main", ".dev"):
            (here / name).touch()

    def local(self, text: str) -> str:
        """A command with the ports of this run."""
        for role, port in self.ports.items():
            text = text.replace(f"127.0.0.1:{DEFAULTS[role]}", f"127.0.0.1:{port}")
        return text

    def type(self, text: str, status: int = 0) -> str:
        return self.terminal.type(self.local(text), status)

    def start(self, text: str) -> str:
        """In the first terminal: a command that stays in the foreground; returns its screen."""
        with self._screen.open("w") as screen:
            self._running = subprocess.Popen(
                ["bash", "-c", text],
                cwd=self.folder,
                env=self.environment,
                stdout=screen,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        running = self._running
        wait_for(lambda: self._ready() or running.poll() is not None, "the screen of make run")
        assert running.poll() is None, self._screen.read_text()
        return self._screen.read_text()

    def _ready(self) -> bool:
        return "Ctrl-C ends it" in self._screen.read_text()

    def interrupt(self) -> None:
        """Ctrl-C in the first terminal."""
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGINT)
            self._running.wait(60)
            self._running = None

    def close(self) -> None:
        self.interrupt()
        self.terminal.close()


@contextlib.contextmanager
def reading() -> Iterator[Reader]:
    """A reader, whose platform ends with the context."""
    with temporary_folder("docs") as folder:
        reader = Reader(folder)
        try:
            yield reader
        finally:
            reader.close()
