"""The commands of the docs, run as they are written, in order, in an empty folder.

Two things differ from a reader's machine. The ports are free ones, so that a platform that runs
here is in nobody's way. And for root DATA_DIR lies in the folder, not in /var/lib.
"""

import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics.embedded import free_port
from analytics.settings import ROLES, Settings
from tests.pages import ROOT, Block, Terminal, blocks, commands, environment
from tests.servers import temporary_folder
from tests.waiting import wait_for

PAGES = [
    "README.md",
    "docs/getting-started.md",
    "docs/importing.md",
    *sorted(f"docs/operations/{path.name}" for path in (ROOT / "docs/operations").glob("*.md")),
]

WALKS = ("README.md", "docs/getting-started.md", "docs/importing.md")

ELSEWHERE = {
    "# backup": "tests/deploy/test_backup.py",
    "# restore": "tests/deploy/test_backup.py",
    "# books": "tests/deploy/test_backup.py",
    "# the rules, as a PrometheusRule": "tests/deploy/test_prometheus.py",
    "analytics import FILE…": "a synopsis",
    "docker compose up": "tests/deploy/test_compose.py",
    "curl -k https://127.0.0.1/collect": "tests/deploy/test_front.py",
    "certbot certonly": "needs a certificate authority and a name that it can reach",
}
"""Blocks by how they begin, and where they run or why they cannot."""


def elsewhere(block: Block) -> bool:
    return any(block.first.startswith(beginning) for beginning in ELSEWHERE)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_commands_runs_somewhere(page: str) -> None:
    unknown = [block.first for block in commands(page) if not elsewhere(block)]
    assert page in WALKS or not unknown


def test_no_block_is_excused_that_is_not_there() -> None:
    present = [block.first for page in PAGES for block in commands(page)]
    for beginning, where in ELSEWHERE.items():
        assert any(first.startswith(beginning) for first in present), beginning
        assert not where.startswith("tests/") or (ROOT / where).exists()


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


DEFAULTS = {role: Settings().port_of(role, ROLES) for role in ROLES}


@pytest.fixture
def reader() -> Iterator[Reader]:
    with temporary_folder("docs") as folder:
        reader = Reader(folder)
        try:
            yield reader
        finally:
            reader.close()


def block_after(page: str, command: Block) -> str:
    """What the page says that a command prints."""
    found = blocks(page)
    return found[found.index(command) + 1].text


def test_the_readme(reader: Reader) -> None:
    run, send, ask = commands("README.md")
    assert run.text.splitlines()[1].startswith("make test ")
    screen = reader.start(run.first)
    assert json.loads(reader.type(send.text)) == json.loads(block_after("README.md", send))
    reader.type(f"KEY={key_of(screen)}")
    wait_for(lambda: total(reader.type(ask.text)) == 1, "the event in the answer")


def key_of(screen: str) -> str:
    """The key that `make run` printed."""
    [key] = [line.split()[1] for line in screen.splitlines() if line.startswith("  key ")]
    return key


def total(answer: str) -> float:
    """The total of trends' only series."""
    [series] = json.loads(answer)["data"]["series"]
    value: float = series["total"]
    return value


def test_getting_started(reader: Reader) -> None:
    page = "docs/getting-started.md"
    start, key, send, ask, query, watch, history, doctor = commands(page)
    reader.start(start.text)
    reader.type(data_folder(key.text))
    assert json.loads(reader.type(send.text)) == json.loads(block_after(page, send))

    trends, event = ask.text.strip().splitlines()
    wait_for(lambda: total(reader.type(trends)) == 1, "the event in the answer")
    assert json.loads(reader.type(event))["data"]["status"] == "stored"
    assert " 1" in reader.type(query.text)

    reader.type(f"{watch.text.strip()} > watched &")
    wait_for(lambda: sent_again(reader, send), "an event on the watcher's screen")
    reader.type("kill %1")

    again, bring = (line.partition("#")[0].strip() for line in history.text.splitlines())
    write_history(reader.folder / "events.ndjson.gz")
    reader.interrupt()
    reader.start(again)
    assert "stored 30, duplicates 0" in reader.type(bring)
    assert "✗" not in reader.type(doctor.text)


def sent_again(reader: Reader, send: Block) -> bool:
    """Sends the page's event under a new id; whether the watcher has seen such a one."""
    reader.type(send.text.replace('"first"', f'"{uuid.uuid4()}"'))
    return '"engagement"' in (reader.folder / "watched").read_text()


def data_folder(command: str) -> str:
    """The command that reads the key, with root's DATA_DIR."""
    return command.replace("~/.local/share/analytics", "${DATA_DIR:-~/.local/share/analytics}")


def write_history(path: Path) -> None:
    """Thirty events, older than what is kept by default."""
    long_ago = datetime.now(UTC) - timedelta(days=400)
    events = [
        {
            "session_id": f"s{number}",
            "event_type": "page",
            "event_action": "view",
            "timestamp": (long_ago + timedelta(hours=number)).isoformat(),
        }
        for number in range(30)
    ]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, events)).encode()))


def test_importing(reader: Reader) -> None:
    _, bring = commands("docs/importing.md")
    (reader.folder / "export.csv").write_text(
        f"visitor,visit,page,at\nada,v1,/pricing,{datetime.now(UTC):%Y-%m-%d %H:%M}\n"
    )
    reader.start("make run")
    reader.type("PATH=$PWD/.venv/bin:$PATH")
    assert "stored 1, duplicates 0" in reader.type(bring.text)
    reader.type("analytics query breakdown --event page:view --by 'metadata.$path' | grep /pricing")
