"""A rolling deploy under load: jobs of every version that was ever written are stored, and those
from the future set aside. Fault 39.
"""

import signal
import time
import uuid
from datetime import UTC, datetime

import msgspec

from analytics.events import Event, pack
from analytics.queue import body
from tests.faults.load import Load, audit, recovered, smuggle
from tests.faults.platform import Platform
from tests.waiting import wait_for


def some(number: int) -> list[Event]:
    now = datetime.now(UTC)
    return [
        Event("default", uuid.uuid4(), f"s{n}", None, "old", "release", b"{}", now, now, named=True)
        for n in range(number)
    ]


def test_replicas_are_replaced_one_by_one_under_load_and_jobs_of_both_versions_run(
    platform: Platform,
) -> None:
    processors = [platform.role("processor") for _ in range(2)]
    # production's: time for a request whose port was chosen before the balancer heard
    platform.environment["SHUTDOWN_DELAY"] = "5"
    collectors = [platform.role("collector") for _ in range(2)]
    future = msgspec.msgpack.encode(
        {"t": None, "f": "store_v2", "a": [b"?"], "k": {}, "et": time.time_ns() // 1_000_000}
    )
    with Load(*collectors) as load:
        load.wait_for_more(200)
        for old in (*processors, *collectors):
            # events only, as the first release wrote it
            smuggle(platform, b"", 10, job=body.write(pack(some(10))))
            # events and the dead letters that they replay
            smuggle(platform, b"", 10, job=body.write(pack(some(10)), [2**40]))
            smuggle(platform, b"", 7, job=future)
            new = platform.role(old.name)
            if old.name == "collector":
                load.ports = [port for port in load.ports if port != old.port] + [new.port]
            assert old.end(signal.SIGTERM) == 0, old.tail()
            recovered(platform, load)
        load.wait_for_more(100)
    wait_for(platform.drained, "the queue to drain")
    assert platform.sql("select count(*) from raw_events where event_type = 'old'") == "80"
    assert (
        platform.sql("select reason, count(*), sum(events) from dead_letters group by 1")
        == "unknown_function|4|28"
    )
    assert load.answers[0] == load.answers[503] == 0, f"a client saw the deploy: {load.answers}"
    audit(platform, load)
