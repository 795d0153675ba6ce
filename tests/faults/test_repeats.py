"""Poison, repeats, overlap and wrong clocks: faults 16 to 19 through the whole platform."""

import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec

from analytics.events import Event, pack
from analytics.queue import scripts
from tests.faults.figures import often
from tests.faults.load import ask, check_books, event, send, smuggle
from tests.faults.platform import Platform, http_get
from tests.waiting import wait_for


def test_one_poison_event_in_500_is_one_dead_letter_and_499_rows(platform: Platform) -> None:
    now = datetime.now(UTC)
    good = Event("default", uuid.uuid4(), "s", "u", "t", "a", b"{}", now, now, named=True)
    batch = [msgspec.structs.replace(good, id=uuid.uuid4()) for _ in range(500)]
    batch[321] = msgspec.structs.replace(batch[321], metadata=b'{"k": "\\u0000"}')
    smuggle(platform, pack(batch), len(batch))
    platform.role("processor")
    wait_for(platform.drained, "the batch")
    assert platform.sql("select count(*) from raw_events") == "499"
    assert platform.sql("select event_id from dead_letters") == str(batch[321].id)
    check_books(platform)


def test_a_retry_with_another_timestamp_or_none_is_one_event(platform: Platform) -> None:
    collector, _ = platform.role("collector"), platform.role("processor")
    sent = [event(n) for n in range(50)]
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    without = [{key: value for key, value in one.items() if key != "timestamp"} for one in sent]
    for repeat in (sent, sent, [{**one, "timestamp": later} for one in sent], without):
        send(collector.port, repeat)
    wait_for(platform.drained, "the queue to drain")
    assert platform.sql("select count(*) from raw_events") == "50"
    assert platform.books()["duplicate"] == 150
    check_books(platform)


def test_two_processors_with_overlapping_shuffled_batches_neither_deadlock_nor_double(
    platform: Platform,
) -> None:
    dice = random.Random(18)
    collector = platform.role("collector")
    for _ in range(2):
        platform.role("processor")
    pool = [event(n) for n in range(400)]
    batches = [dice.sample(pool, 120) for _ in range(often(300, 60))]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda batch: send(collector.port, batch), batches))
    wait_for(platform.drained, "the queue to drain")
    assert platform.sql("select count(*) from raw_events") == str(
        len({one["id"] for batch in batches for one in batch})
    )
    assert "deadlock" not in platform.postgres.log.read_text()
    check_books(platform)


def test_a_batch_that_the_queue_holds_twice_is_counted_once(platform: Platform) -> None:
    now = datetime.now(UTC)
    batch = [
        Event("default", uuid.uuid4(), f"s{n}", None, "t", "a", b"{}", now, now, named=n % 2 == 0)
        for n in range(100)
    ]
    for _ in range(3):
        smuggle(platform, pack(batch), len(batch))
    for _ in range(2):
        platform.role("processor")
    wait_for(platform.drained, "the queue to drain")
    assert platform.sql("select count(*) from raw_events") == "100"
    assert platform.books() == {
        "accepted": 300,
        "stored": 100,
        "duplicate": 200,
        "dead_lettered": 0,
        "queued": 0,
    }
    check_books(platform)


def test_wrong_clocks_of_clients_and_of_redis_make_no_negative_lag(platform: Platform) -> None:
    collector = platform.role("collector")
    clocks = {hours: datetime.now(UTC) + timedelta(hours=hours) for hours in (-30, -3, 0, 3, 30)}
    for hours, now in clocks.items():
        batch = [
            event(n, session_id=f"clock {hours}", timestamp=now.isoformat()) for n in range(10)
        ]
        answer = ask(
            collector.port, msgspec.json.encode({"sent_at": now.isoformat(), "events": batch})
        )
        assert answer.status == 202, answer
    job, appended = platform.redis("ZRANGE", scripts.PENDING, 0, 0, "WITHSCORES")
    # as if Redis' clock had gone back an hour since
    platform.redis("ZADD", scripts.PENDING, "XX", int(float(appended)) + 3_600_000, job)
    text = http_get(f"{collector.url}/metrics")[1].decode()
    (oldest,) = [
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith("analytics_queue_oldest_seconds")
    ]
    assert 0 <= oldest < 3600
    platform.role("processor")
    wait_for(platform.drained, "the queue to drain")
    off = (
        "select count(*) from raw_events where timestamp > created_at + interval '1 minute'"
        " or timestamp < created_at - interval '10 minutes'"
    )
    assert platform.sql(off) == "0", "a client's clock was believed"
    assert platform.sql("select count(*) from raw_events") == "50"
    check_books(platform)
