"""`analytics import` through the real roles, to the numbers that the api answers with."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from tests import forking
from tests.faults.platform import Platform, Role, http_get
from tests.importing.test_importer import event, ndjson, rejected
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


ZONES = ("Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland", "UTC")


def history(seed: int, events: int = 300) -> list[dict[str, Any]]:
    """Commits of four years by a dozen people in several zones, many of them around midnight and
    around the changes of the clocks.
    """
    dice = random.Random(seed)
    changes = [
        datetime(year, month, day, tzinfo=UTC)
        for year, month, day in (
            (2021, 3, 28),
            (2021, 11, 7),
            (2022, 10, 30),
            (2024, 3, 10),
            (2023, 12, 31),
        )
    ]
    history = []
    for _ in range(events):
        base = (
            dice.choice(changes)
            if dice.random() < 0.5
            else datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=dice.randrange(1_400))
        )
        moment = (base + timedelta(seconds=dice.randrange(-90_000, 90_000))).astimezone(
            ZoneInfo(dice.choice(ZONES))
        )
        person = f"p{dice.randrange(12)}"
        commit = {
            "id": f"{dice.getrandbits(160):040x}",
            "session_id": f"{person}-{moment:%Y-%m-%d}",
            "event_type": "commit",
            "event_action": dice.choice(("src", "test", "docs")),
            "timestamp": moment.isoformat(),
            "metadata": {
                "repo": dice.choice(("kernel", "shell", "editor")),
                "files": dice.randrange(9),
            },
        }
        history.append(commit | ({"user_id": person} if dice.random() < 0.8 else {}))
    return history


def bucket(moment: datetime, interval: str) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        midnight.replace(day=1)
        if interval == "month"
        else midnight - timedelta(days=midnight.weekday())
    )


def counted(
    events: list[dict[str, Any]], zone: str, interval: str, by: str | None, users: bool
) -> dict[Any, int]:
    """The independent count: {(bucket's local start, group): events or people}."""
    groups = defaultdict(list)
    for one in events:
        local = datetime.fromisoformat(one["timestamp"]).astimezone(ZoneInfo(zone))
        groups[
            bucket(local, interval).replace(tzinfo=None), one["metadata"][by] if by else None
        ].append(one.get("user_id", one["session_id"]))
    return {key: len(set(actors)) if users else len(actors) for key, actors in groups.items()}


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
    done = command(platform, str(path), "--project", "historia")
    assert (done.returncode, done.stdout) == (1, "")
    assert "analytics projects create historia" in done.stderr


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
