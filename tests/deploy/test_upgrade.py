"""An upgrade under load: of the roles, as docs/operations/upgrade.md says (migrate first, then new
beside old, then old away), and of the tables.
"""

import io
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.deploy.deployed import Deployed
from tests.deploy.programs import ROOT, find, run
from tests.faults.load import Load, audit
from tests.servers import temporary_folder
from tests.waiting import wait_for

VERSIONS = "alembic/versions"
NEEDED = "analytics/roles/collector/collector.py"
REVISIONS = sorted(path.name[:4] for path in (ROOT / VERSIONS).glob("[0-9]*.py"))


def git(*words: str) -> bytes:
    return subprocess.run(
        [find("git"), "-c", "safe.directory=*", *words], cwd=ROOT, capture_output=True, check=True
    ).stdout


def release_before() -> str:
    """The last commit whose schema is older than ours; where there has been only one schema, the
    last commit.
    """
    ours = {path.name for path in (ROOT / VERSIONS).glob("*.py")}
    for commit in git("rev-list", "--max-count=500", "HEAD").decode().split():
        files = git("ls-tree", "-r", "--name-only", commit, VERSIONS, NEEDED).decode().split()
        theirs = {Path(name).name for name in files if name.startswith(VERSIONS)}
        if NEEDED in files and theirs and theirs < ours:
            return commit
    return "HEAD"


def test_an_upgrade_under_load_loses_nothing_and_counts_nothing_twice() -> None:
    with temporary_folder("upgrade") as folder:
        old = folder / "old"
        with tarfile.open(
            fileobj=io.BytesIO(git("archive", release_before(), "analytics", "alembic"))
        ) as tree:
            tree.extractall(old, filter="data")

        def of_old(role: str) -> tuple[str, ...]:
            begin = "import runpy; runpy.run_module('analytics', run_name='__main__')"
            return (
                "-c",
                f"import sys; sys.path[0] = {str(old)!r}; "
                f"sys.argv = ['analytics', 'run', '--role={role}']; {begin}",
            )

        with Deployed(folder, release=old) as platform:
            before = [
                platform.role(role, program=of_old(role)) for role in ("collector", "processor")
            ]
            first, second = before[0], platform.role("collector", program=of_old("collector"))
            with Load(first, second) as load:
                load.wait_for_more(200)
                platform.migrate()
                load.wait_for_more(100)
                for role in before:  # a new one beside each old one, then the old one away
                    new = platform.role(role.name)
                    if role.name == "collector":
                        load.ports = [new.port, second.port]
                    assert role.end(signal.SIGTERM) == 0, role.tail()
                    load.wait_for_more(100)
                load.ports = [platform.all_of("collector")[-1].port]
                assert second.end(signal.SIGTERM) == 0, second.tail()
                load.wait_for_more(100)
            assert revision(platform) == REVISIONS[-1]
            wait_for(platform.drained, "an empty queue")
            platform.run("rebuild")  # what the older release stored has no rollups
            audit(platform, load)


@pytest.mark.parametrize("older", REVISIONS[:-1])
def test_tables_of_an_older_schema_are_migrated_under_load_and_nothing_is_lost(older: str) -> None:
    """The roles are there before the tables that they need: what comes meanwhile waits in the
    queue, and is stored beside what was there.
    """
    with temporary_folder("upgrade") as folder, Deployed(folder) as platform:
        processor = platform.role("processor")
        with Load(platform.role("collector")) as load:
            load.wait_for_more(200)
            wait_for(lambda: platform.books()["stored"] > 100, "stored events")
            assert processor.end(signal.SIGTERM) == 0, processor.tail()
            run(sys.executable, "-m", "alembic", "downgrade", older, env=platform.environment)
            before = platform.books()["stored"]
            processor.start(wait=False)
            load.wait_for_more(200)
            assert (revision(platform), platform.books()["stored"]) == (older, before)
            platform.migrate()
            wait_for(lambda: platform.books()["stored"] > before, "events stored in the new tables")
            load.wait_for_more(100)
        assert revision(platform) == REVISIONS[-1]
        wait_for(platform.drained, "an empty queue")
        platform.run("rebuild")  # what an older release stored has no rollups
        audit(platform, load)


def revision(platform: Deployed) -> str:
    return platform.sql("select version_num from alembic_version")
