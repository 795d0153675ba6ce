"""docs/operations/backup.md, carried out: a backup under load, everything wiped, a restore, and
equal counts.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from analytics.embedded import create_database
from tests.deploy.deployed import OWNER, READER, Deployed
from tests.deploy.programs import ROOT, run
from tests.faults.load import Load
from tests.servers import psql, temporary_folder
from tests.waiting import wait_for

PAGE = (ROOT / "docs/operations/backup.md").read_text()
TABLES = (
    "select relname from pg_class where relkind in ('r', 'p') and not relispartition"
    " and relnamespace = 'public'::regnamespace order by 1"
)
SUMS = "select sum(value), min(date), max(date) from daily_metrics"
ROWS = "select md5(string_agg(e::text, ',' order by e.id)) from raw_events as e"


def steps(name: str) -> str:
    """The block of shell that begins with a comment of this name."""
    match = re.search(rf"```bash\n# {name}\n(.*?)```", PAGE, re.DOTALL)
    assert match, name
    return match[1]


def shell(name: str, platform: Deployed, **more: str) -> str:
    programs = Path(platform.postgres.program("psql")).parent
    env = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "OWNER_PASSWORD": OWNER,
        "READER_PASSWORD": READER,
        **more,
    }
    return run("bash", "-euo", "pipefail", "-c", steps(name), env=env)


def contents(platform: Deployed) -> dict[str, str]:
    """Rows of every table, and what the rows say."""
    counts = {
        table: platform.sql(f"select count(*) from {table}")
        for table in platform.sql(TABLES).split()
    }
    return {**counts, "sums": platform.sql(SUMS), "rows": platform.sql(ROWS)}


@pytest.mark.parametrize("missing", ["OWNER_PASSWORD", "READER_PASSWORD"])
def test_a_restore_without_a_password_ends_before_it_begins_and_names_it(missing: str) -> None:
    passwords = {"OWNER_PASSWORD": OWNER, "READER_PASSWORD": READER, "PATH": os.environ["PATH"]}
    del passwords[missing]
    done = subprocess.run(
        ["bash", "-c", steps("restore")],
        env={**passwords, "DATABASE_URL": "nowhere", "BACKUP": "nothing"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert re.fullmatch(rf"bash: line \d: {missing}: the password of .*\n", done.stderr)


def test_a_backup_is_taken_under_load_and_restored_to_the_last_row() -> None:
    with temporary_folder("backup") as folder:
        backup = folder / "backup.dump"
        with Deployed(folder) as platform:
            collector, processor = platform.role("collector"), platform.role("processor")
            with Load(collector) as load:
                load.wait_for_more(200)
                shell("backup", platform, DATABASE_URL=platform.database_url, BACKUP=str(backup))
                load.wait_for_more(100)
            wait_for(platform.drained, "an empty queue")
            under_load = backup.stat().st_size
            shell("backup", platform, DATABASE_URL=platform.database_url, BACKUP=str(backup))
            before = contents(platform)
            assert before["raw_events"] == platform.sql("select count(*) from raw_events") != "0"
            processor.kill()

            psql(
                platform.postgres.program("psql"),
                platform.postgres.url(),
                "drop database analytics with (force)",
            )
            with pytest.raises(Exception, match="non-zero exit status"):
                platform.sql("select 1")
            create_database(platform.postgres, "analytics")
            shell("restore", platform, DATABASE_URL=platform.database_url, BACKUP=str(backup))

            assert contents(platform) == before
            assert under_load > 0
            platform.migrate()
            reader = platform.url_of("analytics_reader", READER)
            assert (
                int(
                    run(
                        platform.postgres.program("psql"),
                        "-XqAt",
                        "-d",
                        reader,
                        "-c",
                        "select count(*) from raw_events",
                    )
                )
                > 0
            )

            # and life goes on: what comes now is stored beside what was restored, and a repetition
            # of it counts once
            again = platform.role("processor")
            with Load(collector) as more:
                more.wait_for_more(100)
            wait_for(platform.drained, "an empty queue")
            assert again.process is not None
            stored = platform.sql("select id from raw_events").split()
            assert len(stored) == len(set(stored))
            assert set(load.acknowledged) | set(more.acknowledged) <= set(stored)


def test_the_books_are_brought_into_step_by_a_command_that_redis_knows() -> None:
    assert re.search(
        r"HSET analytics:books accepted .* stored .* duplicate 0 dead_lettered .* queued 0",
        steps("books"),
    )
