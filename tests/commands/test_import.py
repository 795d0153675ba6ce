"""`analytics import` through the real roles, to the numbers that the api answers with."""

import gzip
import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from analytics.commands.import_ import import_
from analytics.commands.typed import typed
from analytics.errors import ConfigurationError
from analytics.importing.files import rejected_lines
from tests import forking
from tests.commands.shell import Run
from tests.faults.platform import Platform, Role, http_get
from tests.importing.history import ZONES, counted, history
from tests.importing.test_importer import event, ndjson, rejected
from tests.pages import blocks
from tests.servers import temporary_folder
from tests.waiting import wait_for


@pytest.fixture
def without_processor(platform: Platform) -> Iterator[Role]:
    """The platform's processor, ended; it runs again after the test, whatever came of it."""
    (processor,) = (role for role in platform.roles if role.name == "processor")
    processor.end(signal.SIGTERM)
    yield processor
    if processor.process is None:
        processor.start()


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with (
        temporary_folder("import") as folder,
        Platform(folder, RETENTION_DAYS="0", DATA_DIR=str(folder / "data")) as running,
    ):
        running.role("processor")
        running.role("api")
        yield running


def command(
    platform: Platform, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return forking.run("import", *arguments, env={**platform.environment, **environment})


def api_of(platform: Platform) -> Role:
    (api,) = (role for role in platform.roles if role.name == "api")
    return api


def answered(
    platform: Platform, zone: str, interval: str, by: str | None, users: bool
) -> dict[Any, int]:
    asked = {
        "from": "2020-12-01",
        "to": "2025-01-01",
        "tz": zone,
        "interval": interval,
        "project": "history",
        "limit": "100",
    }
    asked |= {"by": f"metadata.{by}"} if by else {}
    asked |= {"measure": "users"} if users else {}
    data = platform.get(api_of(platform), f"/api/trends?{urlencode(sorted(asked.items()))}")["data"]
    times = [datetime.fromisoformat(time).replace(tzinfo=None) for time in data["times"]]
    return {
        (time, series["key"].get(f"metadata.{by}")): value
        for series in data["series"]
        for time, value in zip(times, series["values"], strict=True)
        if value
    }


def test_answers_equal_an_independent_count_and_repeated_and_shuffled_imports_change_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    platform.sql("insert into projects values ('history', now())")
    events = history(seed=2)
    path, shuffled, table = (
        tmp_path / "history.ndjson.gz",
        tmp_path / "shuffled.ndjson",
        tmp_path / "history.csv",
    )
    path.write_bytes(gzip.compress(ndjson(*events)))
    shuffled.write_bytes(ndjson(*random.Random(3).sample(events, len(events))))
    fields = ("id", "session_id", "user_id", "event_type", "event_action", "timestamp")
    rows = [
        ",".join(
            [
                *(one.get(field, "") for field in fields),
                one["metadata"]["repo"],
                str(one["metadata"]["files"]),
            ]
        )
        for one in events
    ]
    table.write_text("\n".join([",".join([*fields, "metadata.repo", "metadata.files"]), *rows]))
    for file, outcome in (
        (path, "stored 300, duplicates 0"),
        (path, "stored 0, duplicates 300"),
        (shuffled, "stored 0, duplicates 300"),
        (table, "stored 0, duplicates 300"),
    ):
        done = command(platform, str(file), "--project", "history")
        assert done.returncode == 0, done.stderr
        assert outcome in done.stdout
        for zone in ZONES:
            for interval, by, users in (
                ("month", None, False),
                ("month", "repo", False),
                ("week", None, True),
            ):
                assert answered(platform, zone, interval, by, users) == counted(
                    events, zone, interval, by, users
                ), (file, zone, interval)


def exported(platform: Platform, project: str, format: str) -> bytes:
    path = f"/api/export?project={project}&format={format}&from=2020-01-01"
    status, body = http_get(api_of(platform).url + path)
    assert status == 200, body
    return body


@pytest.mark.parametrize("format", ["ndjson", "csv"])
def test_what_was_exported_is_the_same_when_it_is_imported_elsewhere(
    platform: Platform, tmp_path: Path, format: str
) -> None:
    there, here = f"there-{format}", f"here-{format}"
    platform.sql(f"insert into projects values ('{there}', now()), ('{here}', now())")
    metadata = {
        "$utm_campaign": "test campaign+1",
        "big": 9007199254740993,
        "small": 1e-7,
        "text": "007, \"x\"\r\n;'z' 💥",
        "nested": {"a": [1, None, {"é": ""}], "": True},
        "null": None,
    }
    days = ("2021-03-28T00:30:00.000001Z", "2024-05-05T10:00:00+02:00", "2026-11-01T01:30:00Z")
    path, copied = tmp_path / "events.ndjson", tmp_path / f"export.{format}"
    path.write_bytes(
        ndjson(*(event(at, timestamp=day, metadata=metadata) for at, day in enumerate(days)))
    )
    assert command(platform, str(path), "--project", there).returncode == 0
    copied.write_bytes(exported(platform, there, format))
    done = command(platform, str(copied), "--project", here)
    assert "stored 3, duplicates 0" in done.stdout, done.stdout + done.stderr
    before, after = (
        [
            {**json.loads(line), "project": "", "created_at": ""}
            for line in exported(platform, project, "ndjson").splitlines()
        ]
        for project in (there, here)
    )
    assert after == before
    assert [one["metadata"] for one in after] == [metadata] * 3


def test_an_interrupted_command_ends_with_130_and_the_same_command_completes_it(
    platform: Platform, without_processor: Role, tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(*(event(n, session_id="interrupted") for n in range(1_000)), b"oops"))
    program = [sys.executable, "-m", "analytics", "import", str(path)]
    before = platform.books()
    small = {**platform.environment, "MAX_QUEUED_EVENTS": "200"}
    with subprocess.Popen(
        program, env=small, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(lambda: platform.books()["queued"] == 100, "a full queue")
            wait_for(
                lambda: list(Path(platform.environment["DATA_DIR"]).glob("imports/*.json")),
                "the position of what is queued",
            )
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert "run the same command to resume" in errors
    assert "Traceback" not in errors
    without_processor.start()
    done = command(platform, str(path), MAX_QUEUED_EVENTS="200")
    assert done.returncode == 1
    assert "1 line was rejected; all others are imported" in done.stderr
    assert "resuming after line 100" in done.stderr
    assert "900 accepted, 1 rejected" in done.stdout
    assert "1,000 accepted, 1 rejected" in done.stdout
    assert (
        platform.sql("select count(*) from raw_events where session_id = 'interrupted'") == "1000"
    )
    assert platform.books()["duplicate"] == before["duplicate"]


def test_the_summary_says_how_old_events_can_be_kept(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(event(1)))
    done = command(platform, str(path), RETENTION_DAYS="90")
    assert done.returncode == 1
    assert "RETENTION_DAYS=0" in done.stdout
    assert rejected(path)[0]["code"] == "too_old"
    assert command(platform, str(path)).returncode == 0
    assert not rejected(path)


def test_a_file_of_another_product_is_made_to_fit_by_options(
    platform: Platform, tmp_path: Path
) -> None:
    path = tmp_path / "export.csv"
    path.write_text("visitor,page,at\nada,/pricing,2024-05-05 10:00\nbob,/,2024-05-05 11:00\n")
    options = [
        *("--map", "visitor=user_id", "--map", "page=metadata.$path", "--map", "at=timestamp"),
        *("--set", "event_type=page", "--set", "event_action=view", "--set", "session_id=mapped"),
    ]
    without_zone = command(platform, str(path), *options)
    assert without_zone.returncode == 1
    assert "such as --tz Europe/Berlin" in without_zone.stdout
    assert "--tz says in which zone it is" in rejected(path)[0]["message"]
    done = command(platform, str(path), *options, "--tz", "Europe/Berlin")
    assert done.returncode == 0, done.stderr
    stored = "select user_id, timestamp at time zone 'UTC' from raw_events"
    assert platform.sql(f"{stored} where session_id = 'mapped' order by 2").splitlines() == [
        "ada|2024-05-05 08:00:00",
        "bob|2024-05-05 09:00:00",
    ]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--map", "visitor", "'visitor' has no `=`"),
        ("--map", "visitor=who", "'who' is no field; they are session_id"),
        ("--set", "metadata.=x", "'metadata.' is no field"),
        ("--set", "metadata.e=", "--set metadata.e= has no value"),
        ("--set", "timestamp=2026-11-01", "--tz says in which zone it is"),
        ("--tz", "Mars/Base", "no time zone is called 'Mars/Base'"),
    ],
)
def test_an_option_that_means_nothing_is_named(
    platform: Platform, tmp_path: Path, option: str, value: str, message: str
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(event(1)))
    done = command(platform, str(path), option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert option in done.stderr


def test_a_project_that_is_not_there_is_refused(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(event(1)))
    done = command(platform, str(path), "--project", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "analytics projects create nowhere" in done.stderr


def test_a_project_is_known_without_the_database_by_its_mirror(
    analytics: Run, tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(event(1, timestamp=None)))

    def imported(project: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        words = ("import", str(path), "--no-wait", "--project", project)
        return analytics(*words, status=status, DATABASE_URL="")

    unknown = imported("before")
    assert "1 accepted" in unknown.stdout
    assert "nobody here knows whether there is a project before" in unknown.stderr
    assert "analytics projects create before" in unknown.stderr
    impossible = imported("no name", status=1)
    assert "there is no project no name" in impossible.stderr
    analytics("projects", "create", "mirrored")
    known = imported("mirrored")
    assert ("1 accepted" in known.stdout, known.stderr) == (True, "")
    misspelt = imported("miror", status=1)
    assert misspelt.stdout == ""
    assert "there is no project miror; `analytics projects create miror`" in misspelt.stderr
    assert imported("default").stderr == ""


@pytest.mark.parametrize("lines", [2, 6_000])
def test_a_mapped_field_that_no_line_has_is_named(
    analytics: Run, tmp_path: Path, lines: int
) -> None:
    typo, other = tmp_path / "typo.ndjson", tmp_path / "other.ndjson"
    typo.write_bytes(ndjson(*(event(n, timestamp=None) for n in range(lines))))
    other.write_bytes(ndjson(event(1, timestamp=None, visitr="ada")))
    done = analytics("import", str(typo), "--no-wait", "--map", "visitr=user_id", status=1)
    assert f"{lines:,} accepted, 0 rejected" in done.stdout
    assert "  no line has visitr, which --map names\n" in done.stdout
    assert ("so far; Ctrl-C stops the import" in done.stderr) == (lines > 5_000)
    end = "no line has visitr, which --map names; all events are imported without\n"
    assert done.stderr.endswith(end)
    both = analytics("import", str(typo), str(other), "--no-wait", "--map", "visitr=user_id")
    assert f"{typo}: {lines:,} accepted" in both.stdout
    assert both.stdout.count("no line has visitr") == 1
    empty = tmp_path / "empty.ndjson"
    empty.write_bytes(b"")
    nothing = analytics("import", str(empty), "--map", "visitr=user_id")
    assert nothing.stdout.endswith("empty, nothing to import\n")


def test_the_way_around_an_encoding_keeps_all_options(platform: Platform, tmp_path: Path) -> None:
    platform.sql("insert into projects values ('u16', now())")
    path, left = tmp_path / "my export.csv", tmp_path / "left over"
    path.write_text("visitor,at\nadé,2024-05-05 10:00\n", encoding="utf-16")
    words = [
        *("--project", "u16", "--tz", "Europe/Berlin", "--rejected", str(left)),
        *("--map", "visitor=user_id", "--map", "visitor=session_id", "--map", "at=timestamp"),
        *("--set", "event_type=page", "--set", "event_action=it's view"),
        *("--restart", "--wait", "--format=csv"),
    ]
    done = command(platform, str(path), *words)
    assert done.returncode == 1
    program, _, hint = done.stderr.partition(" | ")
    assert program == f"analytics: {path} is UTF-16: iconv -f UTF-16 -t UTF-8 < '{path}'"
    _, *repeated = shlex.split(hint)
    text = path.read_text(encoding="utf-16").encode()
    done = forking.run(*repeated, env=platform.environment, input=text)
    assert "stored 1, duplicates 0" in done.stdout, done.stderr
    stored = (
        "select user_id, session_id, event_action, timestamp at time zone 'UTC' from raw_events"
    )
    row = platform.sql(f"{stored} where project = 'u16'")
    assert row == "adé|adé|it's view|2024-05-05 08:00:00"


def test_every_option_can_be_repeated_in_a_hint() -> None:
    given = {
        "--project": "shop",
        "--format": "csv",
        "--map": "a=user_id",
        "--set": "event_type=page",
        "--tz": "UTC",
        "--rejected": "left",
    }
    flags = ["--restart", "--no-wait"]
    options = {name for one in import_.params for name in (*one.opts, *one.secondary_opts)}
    assert options == {*given, *flags, "--wait", "files"}
    words = [word for pair in given.items() for word in pair] + flags
    names = ["-h", "--help"]  # click keeps them on the command, for all tests
    context = import_.make_context(
        "import", [*words, "setup.cfg"], help_option_names=names, resilient_parsing=True
    )
    assert sorted(typed(context)) == sorted(words)


def test_a_repeat_with_other_options_stores_nothing_and_says_why(
    platform: Platform, tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(*(event(n, session_id="twice", visitor="ada") for n in range(2))))
    first = command(platform, str(path), "--map", "visitor=metadata.wrong")
    assert "stored 2, duplicates 0" in first.stdout
    assert "as they were stored" not in first.stdout
    plain = command(platform, str(path))
    assert plain.stdout.endswith("stored 0, duplicates 2\n")
    second = command(platform, str(path), "--map", "visitor=user_id")
    assert "stored 0, duplicates 2" in second.stdout
    assert "duplicates stay as they were stored first" in second.stdout
    assert platform.sql("select count(*) from raw_events where session_id = 'twice'") == "2"


def test_a_wrong_import_is_corrected_as_the_docs_say(
    platform: Platform, without_processor: Role, tmp_path: Path
) -> None:
    platform.sql("insert into projects values ('corrected', now())")
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(*(event(n % 5, visitor=f"p{n % 5}", wrong="x") for n in range(50))))

    def imported(option: str) -> str:
        done = command(platform, str(path), "--project", "corrected", "--map", option)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def people() -> str:
        select = "select count(*), count(distinct user_id) from raw_events"
        return platform.sql(f"{select} where project = 'corrected'")

    without_processor.start()
    assert "stored 50" in imported("wrong=user_id")
    assert "stored 0, duplicates 50" in imported("visitor=user_id")
    assert people() == "50|1"
    without_processor.end(signal.SIGTERM)
    [block] = [block for block in blocks("docs/importing.md") if block.language == "sql"]
    for statement in block.text.splitlines()[1:]:
        platform.sql(statement.replace(":'project'", "'corrected'"))
    for word in ("rebuild", "verify"):
        done = forking.run(word, "--project", "corrected", env=platform.environment)
        assert done.returncode == 0, done.stdout + done.stderr
    assert people() == "0|0"
    without_processor.start()
    assert "stored 50, duplicates 0" in imported("visitor=user_id")
    assert people() == "50|5"
    done = forking.run("verify", "--project", "corrected", env=platform.environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_standard_input_is_imported_too(platform: Platform, tmp_path: Path) -> None:
    words = ("import", "-", "--rejected", str(tmp_path / "rejected"))
    data = ndjson(event(1, session_id="piped"))
    for _ in range(2):
        done = forking.run(*words, env=platform.environment, input=data)
        assert done.returncode == 0, done.stderr
    assert platform.sql("select count(*) from raw_events where session_id = 'piped'") == "1"


def test_a_file_that_would_be_overwritten_is_not_imported(
    platform: Platform, tmp_path: Path
) -> None:
    path, left = tmp_path / "events.ndjson", tmp_path / "events.ndjson.rejected.ndjson"
    for file in (path, left):
        file.write_bytes(ndjson(event(1)))
    for arguments in ((str(path), "--rejected", str(path)), (str(path), str(left))):
        done = command(platform, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is the file for rejected lines" in done.stderr
        assert path.read_bytes() == left.read_bytes() == ndjson(event(1))


def test_each_of_many_files_is_looked_at_a_bounded_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.ndjson" for number in range(100)]
    for path in paths:
        path.touch()
        rejected_lines(str(path)).touch()
    looks: list[object] = []
    stat = os.stat

    def counted(path: Any, **more: Any) -> os.stat_result:
        looks.append(path)
        return stat(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", counted)
        done = CliRunner().invoke(import_, list(map(str, paths)), env={"REDIS_URL": "wrong"})
    assert isinstance(done.exception, ConfigurationError)
    assert 200 <= len(looks) < 1_000


def test_a_queue_out_of_reach_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(event(1)))
    program = [sys.executable, "-m", "analytics", "import", str(path)]
    env = {
        "PATH": os.environ["PATH"],
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATA_DIR": str(tmp_path),
    }
    done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
