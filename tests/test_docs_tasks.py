"""Tasks of the docs, and what keys and questions show of the command line, run as they are written.

See tests/test_docs_commands.py for the pages that every reader begins with.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import Block, blocks, commands
from tests.reader import Reader, reading
from tests.waiting import wait_for

ASKED = ("asking.md", "keys.md", "sdks/README.md")
"""Besides tasks."""
PAGES = (
    *ASKED,
    "tasks/back-up.md",
    "tasks/erase-a-person.md",
    "tasks/missing-event.md",
    "tasks/move-from-umami.md",
    "tasks/top-pages.md",
)


@pytest.fixture
def reader() -> Iterator[Reader]:
    """With `analytics` in the path of the second terminal."""
    with reading() as reader:
        reader.type("PATH=$PWD/.venv/bin:$PATH")
        yield reader


def done(reader: Reader, block: Block) -> str:
    """What a block prints; none of its commands may complain."""
    printed = reader.type(block.text)
    complaints = [line for line in printed.splitlines() if line.startswith("analytics: ")]
    assert complaints == []
    return printed


def send(reader: Reader, *events: dict[str, object]) -> None:
    """Events, sent as any client does."""
    header = "Content-Type: application/json"
    answer = reader.type(
        f"curl -s http://127.0.0.1:4001/collect -H '{header}' -d '{json.dumps(events)}'"
    )
    assert json.loads(answer)["accepted"] == len(events)


def view(path: str, user: str, **metadata: object) -> dict[str, object]:
    """A page view as the tracker sends it."""
    page = {"$path": path, **metadata}
    return {
        "session_id": f"of-{user}",
        "user_id": user,
        "event_type": "page",
        "event_action": "view",
        "metadata": page,
    }


def stored(reader: Reader, events: int) -> None:
    """Wait until so many events are stored."""
    line = f'analytics_books_events{{account="stored"}} {events}\n'
    look = "curl -s http://127.0.0.1:4001/metrics"
    wait_for(lambda: line in reader.type(look), "the events to be stored")


def test_pages_whose_commands_need_a_running_platform(reader: Reader) -> None:
    reader.start("make run")

    key, events, breakdown, trends, over_http = commands("docs/tasks/top-pages.md")
    assert done(reader, key).startswith("ak_w_")
    send(reader, *(view("/pricing", f"u{n}") for n in range(4)), view("/about", "ada"))
    stored(reader, 5)
    assert "/pricing" in done(reader, events)
    page = blocks("docs/tasks/top-pages.md")
    table = page[page.index(breakdown) + 1].text.splitlines()
    printed = done(reader, breakdown).splitlines()
    assert [line.split() for line in printed[: len(table)]] == [line.split() for line in table]
    assert " 4" in done(reader, trends)
    reader.type("KEY=$(analytics keys create --scope query --name dashboard)")
    rows = json.loads(done(reader, over_http))["data"]["rows"]
    assert rows == [["/pricing", 4, 4], ["/about", 1, 1]]

    [look] = commands("docs/tasks/missing-event.md")
    assert json.loads(done(reader, look))["data"]["status"] == "unknown"
    send(reader, {**view("/paid", "ada"), "id": "order-17-paid"})
    stored(reader, 6)
    assert json.loads(done(reader, look))["data"]["status"] == "stored"

    website, like_umami, _ = commands("docs/tasks/move-from-umami.md")
    assert "0b1c0e58-1111-4222-8333-000000000001" in done(reader, website)
    done(reader, like_umami)
    stored(reader, 7)
    *_, ask = like_umami.text.strip().splitlines()
    assert "/pricing" in reader.type(ask)

    [keys] = commands("docs/keys.md")
    assert "shop" in done(reader, keys)
    assert reader.type("analytics keys list | grep -c revoked") == "1"
    [token] = commands("docs/sdks/README.md")
    assert "phc_abc" in done(reader, token)

    _, questions = commands("docs/asking.md")
    assert "/pricing" in done(reader, questions)
    assert "/pricing" in (reader.folder / "events.csv").read_text()


def test_erase_a_person(reader: Reader) -> None:
    page = "docs/tasks/erase-a-person.md"
    where, look, empty, erase, rebuild, gone, search = commands(page)
    reader.start("make run")
    done(reader, where)
    send(reader, view("/", "ada", email="ada@example.com"), view("/", "ben"))
    stored(reader, 2)
    assert "ada@example.com" in done(reader, look)
    assert "ada@example.com" in done(reader, search)
    assert done(reader, empty).endswith("queued 0")

    reader.interrupt()
    reader.start(".venv/bin/analytics run --role collector")
    [sql] = [block for block in blocks(page) if block.language == "sql"]
    (reader.folder / "erase.sql").write_text(sql.text)
    assert "of-ada" in done(reader, erase)
    assert "verified days: 1" in done(reader, rebuild)

    reader.interrupt()
    reader.start("make run")
    assert "of-ada" not in done(reader, gone)
    assert "(0 rows)" in done(reader, search)
    assert "of-ben" in reader.type("analytics query users/ben/timeline --last 90d")


def test_back_up_what_make_run_keeps(reader: Reader) -> None:
    where, copy, restore_copy, dump, other_terminal, restore_dump, acknowledge, check = commands(
        "docs/tasks/back-up.md"
    )
    reader.start("make run")
    done(reader, where)
    data = Path(reader.type("echo $DATA_DIR"))
    send(reader, view("/", "ada"))
    stored(reader, 1)
    done(reader, dump)

    reader.interrupt()
    done(reader, copy)
    shutil.rmtree(data)
    done(reader, restore_copy)
    reader.start("make run")
    assert "of-ada" in reader.type("analytics query users/ada/timeline")

    reader.interrupt()
    shutil.rmtree(data)
    reader.start(f".venv/bin/{other_terminal.text.strip()}")
    done(reader, restore_dump)
    reader.interrupt()
    reader.start("make run")
    assert "of-ada" in reader.type("analytics query users/ada/timeline")
    wait_for(lambda: "may be lost" in reader.type("analytics losses show"), "the loss to be found")
    assert "acknowledged: events acknowledged after" in done(reader, acknowledge)
    printed = done(reader, check)
    assert "✗" not in printed
    assert printed.endswith("verified days: 1")
