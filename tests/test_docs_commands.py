"""The commands of the docs, run as they are written, in order, in an empty folder.

Two things differ from a reader's machine. The ports are free ones, so that a platform that runs
here is in nobody's way. And for root DATA_DIR lies in the folder, not in /var/lib.
"""

import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import test_docs_tasks
from tests.pages import ROOT, Block, blocks, commands
from tests.reader import Reader, reading
from tests.waiting import wait_for

PAGES = [
    "README.md",
    *sorted(f"{page.relative_to(ROOT)}" for page in (ROOT / "docs").rglob("*.md")),
]

WALKS = (
    "README.md",
    "docs/getting-started.md",
    "docs/importing.md",
    *(f"docs/{page}" for page in test_docs_tasks.PAGES),
)
"""Pages whose blocks run below, or in the test of that name; each test names all of its page."""

ALONE = {
    "docs/tasks/server-without-docker.md": "needs root on a Debian of its own, with systemd",
}
"""Pages that no test can run here, and why."""

ELSEWHERE = {
    "# backup": "tests/deploy/test_backup.py",
    "# restore": "tests/deploy/test_backup.py",
    "# books": "tests/deploy/test_backup.py",
    "# the rules, as a PrometheusRule": "tests/deploy/test_prometheus.py",
    "analytics import FILE…": "a synopsis",
    "docker compose up": "tests/deploy/test_compose.py",
    "curl -k https://127.0.0.1/collect": "tests/deploy/test_front.py",
    "kubectl -n analytics delete job": "needs a cluster",
    "openapi-python-client generate": "tests/sdks/test_clients.py",
    "analytics people split ada": "tests/commands/test_people.py",
    "accepted = stored": "a formula",
    ".venv/bin/python -m pytest": "these tests themselves",
    "certbot certonly": "needs a certificate authority and a name that it can reach",
}
"""Blocks by how they begin, and where they run or why they cannot."""


def elsewhere(block: Block) -> bool:
    return any(block.first.startswith(beginning) for beginning in ELSEWHERE)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_commands_runs_somewhere(page: str) -> None:
    unknown = [block.first for block in commands(page) if not elsewhere(block)]
    assert page in WALKS or page in ALONE or not unknown


def test_no_block_is_excused_that_is_not_there() -> None:
    present = [block.first for page in PAGES for block in commands(page)]
    for beginning, where in ELSEWHERE.items():
        assert any(first.startswith(beginning) for first in present), beginning
        assert not where.startswith("tests/") or (ROOT / where).exists()
    assert {*WALKS, *ALONE} <= {*PAGES}


@pytest.fixture
def reader() -> Iterator[Reader]:
    with reading() as reader:
        yield reader


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
    _, bring, rewrite = commands("docs/importing.md")
    (reader.folder / "shop.csv").write_text(
        f"visitor,visit,page,day,time\nada,v1,/pricing,{datetime.now(UTC):%d/%m/%Y,%I:%M %p}\n"
    )
    reader.type(rewrite.text)
    reader.start("make run")
    reader.type("PATH=$PWD/.venv/bin:$PATH")
    assert "stored 1, duplicates 0" in reader.type(bring.text)
    reader.type("analytics query breakdown --event page:view --by 'metadata.$path' | grep /pricing")
