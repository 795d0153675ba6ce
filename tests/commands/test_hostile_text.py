"""Names that would write on the operator's terminal, sent by anybody who may send events: every
command shows them as text, on a terminal and in a pipe.
"""

import json
import os
import pty
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests import forking
from tests.faults.platform import Platform
from tests.servers import temporary_folder
from tests.test_terminal import is_hidden
from tests.waiting import wait_for

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp\u2066\u200b\r✓ all is well"
SHOWN = r"\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp\u2066\u200b\r✓ all is well"
OURS = re.compile(r"\r?\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A)")
"""Our own styles, and what draws the bar of an import."""


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with (
        temporary_folder("hostile") as folder,
        Platform(
            folder, RETENTION_DAYS="0", DATA_DIR=str(folder / "data"), JOB_TIMEOUT="30"
        ) as running,
    ):
        running.sql("alter table raw_events add constraint poison check (event_action <> 'bad')")
        api = running.role("api")
        collector = running.role("collector")
        running.role("processor")
        running.environment["API_PORT"] = str(api.port)
        event = {
            "session_id": HOSTILE,
            "user_id": HOSTILE,
            "event_type": HOSTILE,
            "event_action": HOSTILE,
            "metadata": {"$path": HOSTILE, HOSTILE: HOSTILE},
        }
        body = [event, {**event, "event_action": "bad"}]
        request = urllib.request.Request(  # noqa: S310 - our own http://127.0.0.1
            f"{collector.url}/collect",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            assert json.loads(answer.read())["accepted"] == 2
        wait_for(lambda: running.books()["queued"] == 0, "the events to be stored")
        running.run("keys", "create", "--scope", "ingest", "--name", HOSTILE)
        yield running


def on_terminal(platform: Platform, *words: str) -> str:
    """What a command writes to a terminal, on both streams, without our own styles."""
    ours, theirs = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 65_536):
                parts.append(part)
        except OSError:
            return  # nobody has the other end open any more

    with os.fdopen(theirs, "wb", buffering=0) as end:
        process = forking.Process(
            words, env={**platform.environment, "COLUMNS": "400"}, stdout=end, stderr=end
        )
    reader = Thread(target=read)
    reader.start()
    process.wait(120)
    reader.join()
    os.close(ours)
    return OURS.sub("", b"".join(parts).decode()).replace("\r\n", "\n")


COMMANDS = [
    "query trends --by event_type",
    "query trends --by metadata.$path --csv",
    "query breakdown --by event_type,event_action",
    "query breakdown --by event_type --json",
    "query events",
    "query users",
    "query schema",
    "query export",
    "query export --format csv",
    "query funnel --step HOSTILE --step *",
    "dead-letters list",
    "dead-letters list --json",
    "keys list",
    "keys list --json",
    "keys revoke HOSTILE",
    "projects create HOSTILE",
    "import FILE",
    "run --role HOSTILE",
    "HOSTILE",
]
SILENT = {"keys revoke HOSTILE", "projects create HOSTILE"}
"""Their errors do not repeat the name."""


@pytest.mark.parametrize("line", COMMANDS)
def test_no_command_lets_a_hostile_name_reach_the_terminal(
    platform: Platform, line: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{HOSTILE.replace('/', '')}.csv"
    file.write_text(f"session_id,event_type,event_action,{HOSTILE!r}\n,,,\n")
    words = [{"HOSTILE": HOSTILE, "FILE": str(file)}.get(word, word) for word in line.split()]
    shown = on_terminal(platform, *words)
    assert [character for character in shown if is_hidden(character) and character != "\n"] == []
    assert ("owned" in shown) == (line not in SILENT)
    piped = forking.run(*words, env={**platform.environment, "COLUMNS": "400"})
    if not any(option in words for option in ("--json", "--csv", "export")):
        text = piped.stdout + piped.stderr
        assert [each for each in text if is_hidden(each) and each != "\n"] == []


def test_data_in_a_pipe_stays_what_it_is(platform: Platform) -> None:
    def printed(*words: str) -> str:
        done = forking.run("query", *words, env=platform.environment)
        assert done.returncode == 0, done
        return done.stdout

    assert f'"{HOSTILE}"' in printed("export", "--format", "csv")
    assert f'"{HOSTILE}",1\n' in printed("breakdown", "--by", "event_type", "--csv")
    answer = json.loads(printed("breakdown", "--by", "event_type", "--json"))
    assert answer["data"]["rows"] == [[HOSTILE, 1]]


def test_the_escape_is_what_the_operator_sees(platform: Platform) -> None:
    assert SHOWN in on_terminal(platform, "query", "breakdown", "--by", "event_type")
    assert SHOWN in on_terminal(platform, "dead-letters", "list")
