"""PostgreSQL as it should not be: restarted, read-only, full, crowded, frozen, migrated by four at
once. Faults 11 to 15 and 38.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import MakePlatform
from tests.faults.figures import often
from tests.faults.load import Load, recovered, settled
from tests.faults.platform import ROOT, Platform, Role, stopped
from tests.faults.proxy import Proxy
from tests.waiting import wait_for

OURS = "select count(*) from pg_stat_activity where application_name = 'analytics'"


@contextlib.contextmanager
def loaded(platform: Platform) -> Iterator[tuple[Load, Role]]:
    """A collector under load and a processor; afterwards the queue drains, the processor still
    lives and the books are audited.
    """
    collector, processor = platform.role("collector"), platform.role("processor")
    with Load(collector) as load:
        load.wait_for_more(200)
        yield load, processor
        load.wait_for_more(100)
    settled(platform, load, processor)


def waits_for(processor: Role, words: str, since: int) -> None:
    """Wait until the processor's log, after `since` bytes, says why it waits."""
    wait_for(
        lambda: words in processor.log.read_text(errors="replace")[since:],
        f"{words!r} in the processor's log",
        120,
    )


def size(role: Role) -> int:
    return len(role.log.read_text(errors="replace"))


def test_immediate_restarts_of_postgres_are_waited_out(platform: Platform) -> None:
    with loaded(platform) as (load, _):
        for _ in range(often(5, 2)):
            pid = platform.postgres.pid
            os.kill(pid, signal.SIGQUIT)  # what `pg_ctl -m immediate` does
            platform.restart(platform.postgres)
            recovered(platform, load)


def test_a_database_that_is_read_only_as_after_a_failover_is_waited_for(platform: Platform) -> None:
    with loaded(platform) as (load, processor):
        since = size(processor)
        for state in ("on", "off"):
            platform.sql(f"alter system set default_transaction_read_only = {state}")
            platform.sql("select pg_reload_conf()")
            if state == "on":
                waits_for(processor, "read-only transaction", since)
                load.wait_for_more(200)
        recovered(platform, load)


def test_a_full_disk_under_postgres_makes_jobs_wait_and_none_is_lost(platform: Platform) -> None:
    small = platform.folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m,mode=0777", "tmpfs", str(small)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can only be mounted by root: {mounted.stderr.strip()}")
    try:
        account = platform.postgres.account
        space = small / "space"
        space.mkdir()
        if account:
            os.chown(space, account.uid, account.gid)
        platform.postgres.execute(f"create tablespace small location '{space}'")
        platform.postgres.execute("alter database analytics set tablespace small")
        with loaded(platform) as (load, processor):
            since = size(processor)
            fill(small / "filler")
            waits_for(processor, "No space left on device", since)
            load.wait_for_more(200)
            (small / "filler").unlink()
            recovered(platform, load)
    finally:
        platform.postgres.kill()
        subprocess.run(["umount", "-l", str(small)], check=True)


def fill(file: Path) -> None:
    """Take all the room that its disk has."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while filler.write(b"x" * 65536):
            pass


def test_with_twenty_connections_the_pools_fit_and_without_any_left_the_processor_waits(
    make_platform: MakePlatform,
) -> None:
    platform = make_platform(CONCURRENCY="3")
    platform.postgres.options["max_connections"] = "20"
    with platform:
        holders: list[subprocess.Popen[bytes]] = []
        try:
            with loaded(platform) as (load, processor):
                api = platform.role("api")
                for _ in range(10):
                    platform.get(api, "/api/trends?last=2d")
                    assert int(platform.sql(OURS)) <= 20
                assert "too many clients" not in processor.tail() + api.tail()
                since = size(processor)
                holders += [hold(platform) for _ in range(20)]
                wait_for(
                    lambda: "too many clients" in platform.postgres.log.read_text(errors="replace"),
                    "the last connection to be taken",
                )
                platform.postgres.log.write_text("")
                api.kill()
                processor.kill()
                processor.start(wait=False)
                holders += [hold(platform) for _ in range(8)]
                waits_for(processor, "too many clients", since)
                load.wait_for_more(200)
                release(holders)
                recovered(platform, load)
        finally:
            release(holders)


def hold(platform: Platform) -> subprocess.Popen[bytes]:
    """A connection that somebody else has taken; idle, so that the server notices when it ends."""
    command = [platform.postgres.program("psql"), "-XqAt", "-d", platform.database_url]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def release(holders: list[subprocess.Popen[bytes]]) -> None:
    while holders:
        with holders.pop() as holder:
            holder.kill()


def test_backends_that_hang_are_given_up_without_a_pile_up(platform: Platform) -> None:
    with loaded(platform) as (load, processor):
        for _ in range(often(3, 1)):
            since = size(processor)
            pids = [int(pid) for pid in platform.sql(OURS.replace("count(*)", "pid")).split()]
            assert pids
            with stopped(*pids):
                waits_for(processor, "imeout", since)
                load.wait_for_more(200)
                living = int(platform.sql(OURS))
                assert living <= len(pids) + 15, f"{living} connections pile up"
            recovered(platform, load)


def test_a_way_to_postgres_that_is_slow_cut_or_swallows_everything_costs_nothing_acknowledged(
    platform: Platform,
) -> None:
    with Proxy(platform.postgres.port) as way:
        platform.environment["DATABASE_URL"] = platform.database_url.replace(
            f":{platform.postgres.port}/", f":{way.port}/"
        )
        with loaded(platform) as (load, processor):
            way.delay = 0.02
            load.wait_for_more(100)
            for _ in range(often(5, 2)):
                way.cut()
                load.wait_for_more(100)
                way.mend()
                recovered(platform, load)
            since = size(processor)
            way.swallow()
            load.wait_for_more(100)
            wait_for(lambda: size(processor) > since, "the processor to notice", 120)
            way.mend()
            recovered(platform, load)
        platform.environment["DATABASE_URL"] = platform.database_url


def test_of_four_who_migrate_at_once_one_does_it_and_three_find_nothing_to_do(
    platform: Platform,
) -> None:
    began = time.monotonic()
    platform.postgres.execute("create database fresh")
    env = {**platform.environment, "DATABASE_URL": platform.postgres.url("fresh")}
    command = [sys.executable, "-m", "analytics", "migrate"]
    migrators = [
        subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(4)
    ]
    said = [migrator.communicate(timeout=120)[0] for migrator in migrators]
    assert [migrator.returncode for migrator in migrators] == [0] * 4, said
    assert sorted(text.split(" from")[0].split(":")[0] for text in said) == [
        "migrated",
        *["nothing to do"] * 3,
    ]
    platform.figures.recovered(time.monotonic() - began)
