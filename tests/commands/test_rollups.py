"""`analytics rebuild` and `analytics verify` as a shell runs them: history read anew, also after a
kill, and what is not true found.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests import forking

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS = [f"{TODAY - timedelta(days=ago):%Y-%m-%d}" for ago in range(6)]
ROWS = """
insert into raw_events (session_id, user_id, event_type, event_action, timestamp)
select 's', 'u' || n % 7, 'page', 'view', $1::timestamptz - n % 6 * interval '1 day'
from generate_series(1, 600) n
"""


@pytest.fixture
async def url(migrated_url: str) -> str:
    """Events of six days as before the migration that brought rollups: nothing is precomputed,
    nothing marked.
    """
    connection = await asyncpg.connect(migrated_url)
    await connection.execute("create table raw_events_of_any_age partition of raw_events default")
    await connection.execute(ROWS, TODAY)
    await connection.execute("delete from rollup_strays")
    await connection.execute(
        "update rollup_since set start = $1", int(TODAY.timestamp()) // 3600 + 48
    )
    await connection.close()
    return migrated_url


def environment(url: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")
    }
    return {**kept, "DATABASE_URL": url}


def started(url: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "analytics", *words],
        env=environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(url: str, *words: str, status: int = 0) -> tuple[list[str], str]:
    """The lines that it prints, and what it says on standard error."""
    done = forking.run(*words, env=environment(url))
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout.splitlines(), done.stderr


async def sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def test_history_is_rebuilt_once_from_the_newest_day_on(url: str) -> None:
    out, err = run(url, "verify")
    assert (out, "not covered by rollups: 6 days" in err) == (["verified days: 0"], True)
    assert run(url, "rebuild")[0] == [*(f"default {day}" for day in DAYS), "rebuilt days: 6"]
    assert run(url, "verify") == (["verified days: 6"], "")
    assert run(url, "rebuild")[0] == ["rebuilt days: 0"]


async def test_a_rebuild_of_a_part_has_nothing_to_say_of_the_rest(url: str) -> None:
    assert run(url, "rebuild", "--from", DAYS[0])[1] == ""


async def test_a_rebuild_that_is_killed_goes_on_where_it_was(url: str) -> None:
    process = started(url, "rebuild")
    assert process.stdout is not None
    assert process.stdout.readline() == f"default {DAYS[0]}\n"
    process.kill()
    told = [f"default {DAYS[0]}", *process.communicate()[0].splitlines()]
    *rest, _ = run(url, "rebuild")[0]
    assert f"default {DAYS[0]}" not in rest
    assert sorted({*told, *rest}) == sorted(f"default {day}" for day in DAYS)
    assert run(url, "verify") == (["verified days: 6"], "")


async def test_what_is_not_true_is_found_shown_and_corrected(url: str) -> None:
    run(url, "rebuild")
    await sql(
        url,
        "delete from rollups where span = 24"
        f" and start = extract(epoch from timestamptz '{DAYS[2]}Z')::bigint / 3600",
    )
    out, err = run(url, "verify", status=1)
    assert (
        out[0] == f"default {DAYS[2]} *:*: rollups say nothing, raw events 100 events of 7 people"
    )
    assert "`analytics rebuild --from DAY` corrects them" in err
    assert run(url, "verify", "--from", DAYS[1]) == (["verified days: 2"], "")
    assert run(url, "rebuild", "--from", DAYS[2], "--to", DAYS[1])[0] == [
        f"default {DAYS[2]}",
        "rebuilt days: 1",
    ]
    assert run(url, "verify") == (["verified days: 6"], "")


@pytest.mark.parametrize("kept_since", ["-1000000000", "extract(epoch from now()) / 3600 - 2160"])
async def test_in_a_database_that_began_empty_a_rebuild_has_nothing_to_say(
    migrated_url: str, kept_since: str
) -> None:
    """Rollups know its projects by the common row alone; retention moves that row on."""
    await sql(migrated_url, f"update rollup_since set start = {kept_since}")
    await sql(
        migrated_url,
        "insert into raw_events (session_id, event_type, event_action, timestamp)"
        " values ('s', 'page', 'view', now())",
    )
    assert run(migrated_url, "rebuild", "--project", "default")[1] == ""
    for again in range(2):
        assert run(migrated_url, "rebuild") == (["rebuilt days: 0"], ""), again
    assert run(migrated_url, "verify") == (["verified days: 1"], "")


async def test_without_tables_or_a_database_it_is_one_line(database_url: str) -> None:
    for command in ("rebuild", "verify"):
        out, err = run(database_url, command, status=1)
        assert (out, "analytics migrate" in err, len(err.splitlines())) == ([], True, 1)
        assert len(run("postgresql://x:y@127.0.0.1:1/z", command, status=1)[1].splitlines()) == 1
