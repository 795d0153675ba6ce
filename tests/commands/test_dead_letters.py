"""`analytics dead-letters`: what operators see, replay and delete."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from redis import Redis

from analytics.commands.dead_letters import JOB_BYTES, _chosen, dead_letters
from analytics.events import Event, pack
from analytics.queue import body, scripts
from analytics.stores import DeadLetter, DeadLetters
from tests import forking
from tests.faults.platform import Platform
from tests.servers import temporary_folder
from tests.waiting import wait_for

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def whole() -> Iterator[Platform]:
    with (
        temporary_folder("dead-letters") as folder,
        Platform(
            folder, RETENTION_DAYS="0", DATA_DIR=str(folder / "data"), JOB_TIMEOUT="30"
        ) as running,
    ):
        running.role("processor")
        yield running


@pytest.fixture
def platform(whole: Platform) -> Platform:
    """The platform with two events that a constraint kept out, in two projects, and a job that
    nobody can read.
    """
    whole.redis("FLUSHALL")
    whole.sql("insert into projects values ('other', now()) on conflict do nothing")
    whole.sql(
        "truncate raw_events, event_ledger_0, event_ledger_1, daily_metrics, stored_jobs,"
        " dead_letters restart identity"
    )
    whole.sql("alter table raw_events drop constraint if exists no_boom")
    whole.sql("alter table raw_events add constraint no_boom check (event_type <> 'boom')")
    for number, project in ((1, "default"), (2, "other")):
        enqueue(whole, 2, body.write(pack([event(number, project=project), event(number + 10)])))
        wait_for(lambda: whole.books()["queued"] == 0, "the poison to be put aside")
    enqueue(whole, 7, b"nonsense")
    wait_for(lambda: whole.books()["queued"] == 0, "the job to be put aside")
    assert whole.books() == {
        "accepted": 11,
        "stored": 2,
        "duplicate": 0,
        "dead_lettered": 9,
        "queued": 0,
    }
    return whole


def event(number: int, project: str = "default") -> Event:
    kind = "boom" if number < 10 else "fine"
    return Event(
        project, UUID(int=number), "s", None, kind, "click", b'{"n": 1}', NOW, NOW, named=True
    )


def enqueue(platform: Platform, events: int, job: bytes) -> None:
    with Redis.from_url(platform.valkey.url) as redis:
        redis.execute_command(
            "EVAL",
            scripts.ENQUEUE.text,
            len(scripts.KEYS),
            *scripts.KEYS,
            "",
            1,
            scripts.job_id(events),
            events,
            job,
        )


def run(platform: Platform, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**platform.environment, "COLUMNS": "200"}
    done = forking.run("dead-letters", *arguments, env=environment)
    assert done.returncode == status, done.stderr
    return done


def listed(platform: Platform, *arguments: str) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = json.loads(run(platform, "list", "--json", *arguments).stdout)
    return letters


def left(platform: Platform) -> list[str]:
    """Number and reason of each, from the table itself."""
    return platform.sql("select number, reason from dead_letters order by 1").splitlines()


def test_the_list_says_what_each_is_and_why_it_is_there(platform: Platform) -> None:
    header, first, second, third = run(platform, "list").stdout.splitlines()
    assert header.split() == ["NUMBER", "SINCE", "PROJECT", "EVENTS", "REASON", "WHAT", "MESSAGE"]
    assert "boom:click" in first
    assert "no_boom" in first
    assert " other " in second
    assert "undecodable" in third
    assert "a job, 8 bytes" in third


def test_the_list_as_json_holds_the_event_or_the_job(platform: Platform) -> None:
    first, second, third = listed(platform)
    assert (first["number"], first["event"]["metadata"], first["event"]["id"]) == (
        1,
        {"n": 1},
        str(UUID(int=1)),
    )
    assert (third["events"], third["reason"], third["job"]) == (7, "undecodable", "bm9uc2Vuc2U=")
    assert listed(platform, "--project", "other") == [second]
    assert listed(platform, "--reason", "undecodable") == [third]
    assert listed(platform, "--limit", "2") == [first, second]
    done = run(platform, "list", "--limit", "2")
    assert len(done.stdout.splitlines()) == 3
    assert "there are more" in done.stderr


def test_a_replay_stores_what_can_be_stored_by_now_and_brings_back_what_cannot(
    platform: Platform,
) -> None:
    reason = platform.sql("select reason from dead_letters where number = 1")
    done = run(platform, "replay", "--all")
    assert "events in the queue again: 2" in done.stdout
    assert "dead letter 3 stays" in done.stderr
    wait_for(lambda: platform.books()["queued"] == 0, "the replay")
    assert left(platform) == ["3|undecodable", f"4|{reason}", f"5|{reason}"]
    platform.sql("alter table raw_events drop constraint no_boom")
    run(platform, "replay", "4")
    wait_for(lambda: platform.books()["stored"] == 3, "the replay")
    assert platform.sql("select project from raw_events where event_type = 'boom'") == "default"
    run(platform, "replay", "--reason", reason)
    wait_for(lambda: platform.books()["stored"] == 4, "the replay")
    assert left(platform) == ["3|undecodable"]
    assert platform.books() == {
        "accepted": 11,
        "stored": 4,
        "duplicate": 0,
        "dead_lettered": 7,
        "queued": 0,
    }


def test_what_is_on_its_way_already_is_not_replayed_twice(platform: Platform) -> None:
    (processor,) = platform.roles
    processor.kill()
    run(platform, "replay", "1")
    done = run(platform, "replay", "--all")
    assert "dead letter 1 is in the queue already" in done.stderr
    assert "events in the queue again: 1" in done.stdout
    platform.sql("alter table raw_events drop constraint no_boom")
    processor.start()
    wait_for(lambda: platform.books()["queued"] == 0, "the replay")
    assert platform.books() == {
        "accepted": 11,
        "stored": 4,
        "duplicate": 0,
        "dead_lettered": 7,
        "queued": 0,
    }


def test_what_is_replayed_as_one_job_is_bounded_by_bytes(platform: Platform) -> None:
    large = b'{"n": "%s"}' % (b"x" * (JOB_BYTES // 2))
    for number in (3, 4):
        enqueue(platform, 1, body.write(pack([replace(event(number), metadata=large)])))
    wait_for(lambda: platform.books()["queued"] == 0, "the poison to be put aside")
    (processor,) = platform.roles
    processor.kill()
    assert "events in the queue again: 4" in run(platform, "replay", "--all").stdout
    jobs = platform.redis("ZRANGE", scripts.QUEUE, 0, -1)
    assert [scripts.count_events(job.decode()) for job in jobs] == [3, 1]
    processor.start()
    wait_for(lambda: platform.books()["queued"] == 0, "the replay")


def test_a_job_that_this_release_can_read_is_replayed(platform: Platform) -> None:
    whole = body.write(pack([event(number) for number in range(20, 27)])).hex()
    platform.sql(f"update dead_letters set payload = decode('{whole}', 'hex') where number = 3")
    run(platform, "replay", "3")
    wait_for(lambda: platform.books()["stored"] == 9, "the replay")
    assert [letter[0] for letter in left(platform)] == ["1", "2"]


def test_what_cannot_be_replayed_is_said_plainly(platform: Platform) -> None:
    assert (
        run(platform, "replay", "3", status=1)
        .stderr.splitlines()[0]
        .startswith("dead letter 3 stays: this release cannot read the job")
    )
    assert "there is no dead letter 99" in run(platform, "replay", "99", status=1).stderr


def test_a_purge_deletes_what_it_names_and_asks_before(platform: Platform) -> None:
    assert len(left(platform)) == 3
    books = platform.books()
    platform.sql("update dead_letters set created_at = now() - interval '31 days' where number = 2")
    assert "deleted: 1" in run(platform, "purge", "--older-than", "30d", "--yes").stdout
    assert [letter[0] for letter in left(platform)] == ["1", "3"]
    assert "deleted: 1" in run(platform, "purge", "3", "--yes").stdout
    assert "deleted: 1" in run(platform, "purge", "--all", "--yes").stdout
    assert left(platform) == []
    assert platform.books() == books, "they are the account of what was ever taken in"


MISUSED = [
    ("replay", "NUMBERs"),
    ("replay 1 --all", "NUMBERs"),
    ("purge --yes", "NUMBERs"),
    ("purge 1 --all --yes", "NUMBERs"),
    ("purge 1", "--yes"),
    ("purge --yes --older-than 30days", "30days"),
    ("purge --yes --older-than 0x", "0x"),
]


@pytest.mark.parametrize(("words", "problem"), MISUSED)
def test_what_does_not_say_which_dead_letters_is_refused(words: str, problem: str) -> None:
    done = CliRunner().invoke(dead_letters, words.split())
    assert done.exit_code == 2
    assert problem in done.output


class Growing:
    """Dead letters of which a new one comes for each that is replayed; two were there before."""

    async def last(self) -> int:
        return 2

    async def all(self, *, reason: str | None) -> AsyncIterator[DeadLetter]:
        assert reason is None
        for number in range(1, 6):
            yield DeadLetter(number, "shop", None, "job", 1, "again", "", b"", NOW)


async def test_what_fails_again_meanwhile_is_not_replayed_again_and_again() -> None:
    letters = [letter.number async for letter in _chosen(cast(DeadLetters, Growing()), [], None)]
    assert letters == [1, 2]
