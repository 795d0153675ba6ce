"""kill -9 at the worst moments: faults 1, 2, 3 and 5, 11 together under one load."""

import random
import signal
import time
from functools import partial

import msgspec
import pytest

from analytics.embedded import Postgres, Valkey
from tests.faults.figures import often
from tests.faults.load import Load, audit, check_books, event, post, recovered, settled
from tests.faults.platform import Platform
from tests.waiting import wait_for

KILLS = often(60, 20)
SLOW = """
create function slow() returns trigger language plpgsql as
$$ begin perform pg_sleep(30); return null; end $$;
create trigger slow before insert on raw_events for each statement execute function slow();
"""


def test_twenty_kills_three_redis_restarts_and_one_of_postgres_lose_and_duplicate_nothing(
    platform: Platform,
) -> None:
    dice = random.Random(20261123)
    collector, processor = platform.role("collector"), platform.role("processor")
    with Load(collector) as load:
        load.wait_for_more(500)
        for turn in range(KILLS):
            victim = dice.choice((collector, processor))
            time.sleep(dice.uniform(0, 0.4))
            victim.kill()
            victim.start()
            recovered(platform, load)
            if turn in (4, 9, 14):
                platform.restart(platform.valkey)
            if turn == 12:
                platform.restart(platform.postgres)
            load.wait_for_more(100)
    wait_for(platform.drained, "the queue to drain")
    audit(platform, load)
    assert load.answers[202] > KILLS


def test_a_processor_killed_inside_an_insert_rolls_back_and_the_next_stores_the_batch(
    platform: Platform,
) -> None:
    collector, processor = platform.role("collector"), platform.role("processor")
    platform.sql(SLOW)
    with Load(collector, threads=1) as load:
        load.wait_for_more(20)
        wait_for(
            lambda: platform.sql("select 1 from pg_stat_activity where wait_event = 'PgSleep'"),
            "an insert that is held",
        )
        processor.kill()
    platform.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"
    )
    platform.sql("drop trigger slow on raw_events")
    assert platform.sql("select count(*) from raw_events") == "0"
    processor.start()
    began = time.monotonic()
    wait_for(platform.drained, "the redelivery")
    platform.figures.recovered(time.monotonic() - began)
    audit(platform, load)


def test_a_processor_killed_between_commit_and_finish_leaves_nothing_to_count_twice(
    platform: Platform,
) -> None:
    collector = platform.role("collector")
    doomed = platform.role("processor", wait=False, program=("-m", "tests.faults.die_after_commit"))
    named, unnamed = [event(n) for n in range(10)], [event(n, named=False) for n in range(5)]
    for number, sent in enumerate([*named, *unnamed]):
        assert post(collector.port, msgspec.json.encode(sent))[0] == 202, number
    assert doomed.process is not None
    assert doomed.process.wait(60) == -signal.SIGKILL
    platform.figures.kills += 1
    committed = int(platform.sql("select count(*) from raw_events"))
    assert committed > 0
    assert platform.books()["stored"] == 0, "the queue was told before the processor died"
    platform.role("processor")
    wait_for(platform.drained, "the redelivery")
    assert platform.sql("select count(*) from raw_events") == "15"
    assert platform.books() == {
        "accepted": 15,
        "stored": 15,
        "duplicate": 0,
        "dead_lettered": 0,
        "queued": 0,
    }
    check_books(platform)


def more(load: Load, refused: int) -> bool:
    return load.answers[503] > refused


@pytest.mark.parametrize("server", ["valkey", "postgres"])
def test_a_server_that_is_down_for_a_while_costs_nothing_acknowledged(
    platform: Platform, server: str
) -> None:
    collector, processor = platform.role("collector"), platform.role("processor")
    stopped: Valkey | Postgres = getattr(platform, server)
    with Load(collector) as load:
        load.wait_for_more(200)
        for _ in range(often(3, 1)):
            refused = load.answers[503]
            platform.kill(stopped)
            if server == "valkey":
                wait_for(partial(more, load, refused), "a 503 while Redis is down")
            else:
                load.wait_for_more(200)
            stopped.start()
            recovered(platform, load)
        load.wait_for_more(200)
    settled(platform, load, processor)
