"""`analytics query` as a shell runs it, against a running api."""

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics import embedded
from analytics.commands.query import key_of
from analytics.embedded import Postgres, Valkey
from analytics.embedded.processes import Process
from analytics.errors import ConfigurationError
from analytics.queries import QUESTIONS
from analytics.settings import Settings
from tests import forking
from tests.browser import site
from tests.queries.answers.test_openapi import KEY, running_api

DAYS = ("--last", "90d")


@pytest.fixture(scope="module")
def environment(
    postgres_server: Postgres,
    migrated_database: str,
    valkey_server: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, str]]:
    """An api with the events of the docs' examples, found as a shell would find it."""
    folder = tmp_path_factory.mktemp("query")
    with running_api(postgres_server, migrated_database, valkey_server, folder) as url:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "PYTHONPATH")
        }
        yield {
            **kept,
            "API_PORT": url.rpartition(":")[2],
            "API_KEYS": f"{KEY},other",
            "DATA_DIR": str(folder),
            "COLUMNS": "150",
        }


def query(
    environment: dict[str, str], *words: str, status: int = 0, **more: str
) -> "subprocess.CompletedProcess[str]":
    done = forking.run("query", *words, env={**environment, **more})
    assert done.returncode == status, done
    return done


def test_an_answer_is_a_table_with_a_line_of_blocks_below_what_is_counted_over_time(
    environment: dict[str, str],
) -> None:
    shown = query(
        environment, "trends", "--event=page", "--by", "metadata.$path", *DAYS, "--limit", "1"
    ).stdout
    header, *_ = shown.splitlines()
    assert header.split() == ["time", "/pricing", "other"] or header.split() == [
        "time",
        "/",
        "other",
    ]
    assert "total" in shown
    assert "█" in shown
    assert "complete until" in shown


def test_no_proxy_is_asked_for_the_api_of_this_machine(environment: dict[str, str]) -> None:
    query(environment, "trends", *DAYS, http_proxy="http://127.0.0.1:1")


def test_the_total_stands_beside_that_of_the_period_before(environment: dict[str, str]) -> None:
    words = ("trends", "--measure", "users", "--by", "metadata.$path", "--limit", "1")
    days = ("--last", "48h", "--interval", "hour", "--compare", "previous")
    data = json.loads(query(environment, *words, *days, "--json").stdout)["data"]
    lines = [*data["series"], data["other"]]
    totals = [line[name] for line in lines for name in ("total", "previous_total")]
    assert all(totals)
    shown = query(environment, *words, *days).stdout.splitlines()
    assert ["total", *map(str, totals)] in [line.split() for line in shown]
    assert any(line.startswith("change ") and "%" in line for line in shown)


ONE = "events/00000000-0000-4000-8000-000000000009"
ASKED: list[tuple[str, ...]] = [
    (
        "trends",
        "--series",
        "count@page",
        "--series",
        "users@account",
        "--formula",
        "B/A*100",
        *DAYS,
    ),
    (
        "breakdown",
        "--by",
        "event_type",
        "--measure",
        "count,avg:metadata.amount",
        "--sort",
        "-count",
        *DAYS,
    ),
    ("funnel", "--step", "account", "--step", "order", "--by", "metadata.plan", *DAYS),
    ("retention", *DAYS),
    ("paths", *DAYS),
    ("sessions", *DAYS),
    ("lifecycle", *DAYS),
    ("stickiness", "--interval", "week", *DAYS),
    ("users", *DAYS),
    ("users/ada", *DAYS),
    ("users/ada/timeline", "--limit", "1", *DAYS),
    ("events", "--where", "user_id.set", "--where", "metadata.$path.set", *DAYS),
    (ONE,),
    ("live",),
    ("schema", *DAYS),
]


@pytest.mark.parametrize("words", ASKED, ids=lambda words: words[0])
def test_every_question_can_be_shown(environment: dict[str, str], words: tuple[str, ...]) -> None:
    shown = query(environment, *words).stdout
    assert len(shown.splitlines()) > 2
    assert len([*csv.reader(io.StringIO(query(environment, *words, "--csv").stdout))]) > 1
    assert json.loads(query(environment, *words, "--json").stdout)["data"]


def test_no_question_is_forgotten_above() -> None:
    patterns = [
        re.compile(re.sub(r"\{.*?\}", "[^/]+", question.path[1:]))
        for question in QUESTIONS
        if not question.streamed
    ]
    assert all(any(pattern.fullmatch(words[0]) for words in ASKED) for pattern in patterns)
    assert len(ASKED) == len(patterns)


def test_json_is_the_answer_as_it_came(environment: dict[str, str]) -> None:
    answer = json.loads(
        query(environment, "breakdown", "--by", "event_type", *DAYS, "--json").stdout
    )
    assert answer["data"]["rows"][0] == ["page", 10]
    assert answer["query"]["by"] == "event_type"


def test_csv_is_the_table(environment: dict[str, str]) -> None:
    printed = query(environment, "breakdown", "--by", "event_type", *DAYS, "--csv").stdout
    assert list(csv.reader(io.StringIO(printed))) == [
        ["event_type", "count"],
        ["page", "10"],
        ["account", "3"],
        ["order", "2"],
    ]


def test_what_is_no_json_is_passed_on(environment: dict[str, str]) -> None:
    printed = query(environment, "export", "--format", "csv", *DAYS).stdout
    assert len(list(csv.DictReader(io.StringIO(printed)))) == 15


def test_more_pages_are_hinted_at(environment: dict[str, str]) -> None:
    hint = query(environment, "users", "--limit", "1", *DAYS).stdout.splitlines()[-1]
    cursor = hint.partition("--cursor ")[2]
    assert (
        "more:"
        not in query(environment, "users", "--limit", "50", *DAYS, "--cursor", cursor).stdout
    )


def test_a_failure_is_one_line_that_says_why(environment: dict[str, str]) -> None:
    for words, more, status, why in [
        (("trends", "--nope", "1"), {}, 1, "no parameter 'nope'"),
        (("nope",), {}, 1, "`analytics query openapi.json` lists all questions"),
        (("trend", *DAYS), {}, 1, "there is nothing at this address; did you mean trends?"),
        (("trends", "--evnt", "page"), {}, 1, "did you mean event?"),
        (("trends", "--jsn"), {}, 2, "did you mean --json?"),
        (("openapi.json", "--csv"), {}, 1, "not a table"),
        (("trends",), {"API_KEYS": "wrong"}, 1, "key"),
        (("trends",), {"API_KEYS": ""}, 2, "--key"),
        (("trends", "--url", "http://127.0.0.1:1"), {}, 1, "no api answers at http://127.0.0.1:1"),
        (("trends", "--url", "file:///etc"), {}, 2, "--url"),
        (("trends", "event"), {}, 2, "'event' is not a parameter"),
        (("trends", "--event"), {}, 2, "--event has no value"),
    ]:
        done = query(environment, *words, status=status, **more)
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert why in done.stderr, done.stderr


def test_what_is_no_answer_is_shown_as_json(environment: dict[str, str]) -> None:
    document = json.loads(query(environment, "openapi.json").stdout)
    assert "/api/trends" in document["paths"]
    assert json.loads(query(environment, "openapi.json", "--json").stdout) == document


def test_a_question_may_be_written_as_in_a_url(environment: dict[str, str]) -> None:
    words = ("breakdown?by=event_type&last=90d", "--sort", "-count")
    plain = query(environment, "breakdown", "--by", "event_type", *DAYS, "--sort", "-count")
    for first in (words[0], f"/api/{words[0]}"):
        told = query(environment, first, *words[1:]).stdout
        assert told.splitlines()[:4] == plain.stdout.splitlines()[:4]


def test_h_is_help_but_not_inside_a_value(environment: dict[str, str]) -> None:
    assert "Usage: analytics query" in query(environment, "-h").stdout
    assert "Usage: analytics query" in query(environment, "trends", "-h").stdout
    sorted_ = query(environment, "breakdown", "--by", "metadata.$path", *DAYS, "--sort", "-count")
    path = query(
        environment, "breakdown", "--by", "metadata.$path", *DAYS, "--sort", "-metadata.$path"
    )
    assert sorted_.stdout.split()[:2] == path.stdout.split()[:2] == ["metadata.$path", "count"]


def test_csv_can_be_made_safe_for_spreadsheets(environment: dict[str, str]) -> None:
    words = ("breakdown", "--by", "event_type,user_id", "--measure", "min:metadata.amount", *DAYS)
    assert query(environment, *words, "--csv", "--formulas", "escape").stdout
    done = query(environment, "export", "--formulas", "escape", *DAYS, status=1)
    assert "formulas=escape is for format=csv" in done.stderr
    assert query(environment, "export", "--format=csv", "--formulas=escape", *DAYS).stdout


def test_a_hint_is_shown_below_the_answer(environment: dict[str, str]) -> None:
    hint = "no events in the last 30 days; there are some from 2025-01-03 to 2025-02-01"
    meta = {"ms": 1, "watermark": None, "hint": hint}
    body = json.dumps({"data": {"rows": [], "next": None}, "query": {}, "meta": meta}).encode()
    with site({"/api/users": ("application/json", body)}) as url:
        assert hint in query(environment, "users", "--url", url).stdout


HINT = "no events in the last 30 days; there are some from 2025-01-03 to 2025-02-01"


def test_that_events_may_be_lost_is_shown_below_the_answer(environment: dict[str, str]) -> None:
    meta = {"ms": 1, "watermark": None, "unsure_since": "2025-01-03T12:00:00Z"}
    body = json.dumps({"data": {"rows": [], "next": None}, "query": {}, "meta": meta}).encode()
    with site({"/api/users": ("application/json", body)}) as url:
        shown = " ".join(query(environment, "users", "--url", url).stdout.split())
    assert "events acknowledged after 2025-01-03T12:00:00Z may be lost" in shown


def test_what_belongs_to_no_data_stands_beside_it(environment: dict[str, str]) -> None:
    """In CSV and in exports, which may be on their way into a file."""
    since = "2025-01-03T12:00:00Z"
    lost = f"events acknowledged after {since} may be lost; `analytics doctor` says more"
    meta = {"ms": 1, "watermark": None, "hint": HINT, "unsure_since": since}
    data = {"columns": ["a", "count"], "rows": [], "total_rows": 0, "next": "c"}
    body = json.dumps({"data": data, "query": {}, "meta": meta}).encode()
    with site({"/api/breakdown": ("application/json", body)}) as url:
        done = query(environment, "breakdown", "--csv", "--url", url)
        assert (done.stdout, done.stderr) == ("a,count\n", f"{lost}\n{HINT}\nmore: --cursor c\n")
    headers = {"X-Hint": f"{HINT}\x1b[2J", "X-Unsure-Since": since}
    with site({"/api/export": ("text/csv", b"id,project\n", headers)}) as url:
        done = query(environment, "export", "--format", "csv", "--url", url)
        assert (done.stdout, done.stderr) == ("id,project\n", f"{lost}\n{HINT}\\x1b[2J\n")


def test_with_events_there_is_nothing_beside_the_data(environment: dict[str, str]) -> None:
    for words in (("export",), ("breakdown", "--by", "event_type", "--csv")):
        assert query(environment, *words, *DAYS).stderr == ""


def test_the_key_of_an_analytics_run_here_serves_where_no_other_is_given(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ak_r_kept")
    settings, me = Settings(data_dir=tmp_path), Process.of(os.getpid())
    run = embedded.Running(me, "redis://", "postgresql://", {})
    with socket.create_server(("127.0.0.1", 0)) as api:
        base = f"http://127.0.0.1:{api.getsockname()[1]}"
        assert key_of(settings, run, base) == "ak_r_kept"
        with pytest.raises(ConfigurationError, match="give --key"):
            key_of(settings, None, base)
        mine = Settings(data_dir=tmp_path, api_keys=("first", "second"))
        assert key_of(mine, run, base) == "first"


def test_only_the_api_of_the_analytics_run_here_is_told_its_key(tmp_path: Path) -> None:
    """After a crash, somebody else may listen where its api was."""
    (tmp_path / "key").write_text("ak_r_kept")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        run = embedded.Running(Process.of(other.pid), "redis://", "postgresql://", {})
        with socket.create_server(("127.0.0.1", 0)) as stranger:
            port = stranger.getsockname()[1]
            for host in ("127.0.0.1", "localhost"):
                with pytest.raises(ConfigurationError, match=f"no api at http://{host}:{port}"):
                    key_of(Settings(data_dir=tmp_path), run, f"http://{host}:{port}")
        assert other.stdin
        other.stdin.close()
