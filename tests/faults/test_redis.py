"""Redis as it should not be: not durable, full, evicting, frozen, far away. Faults 6 to 10."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from analytics.embedded import Valkey
from tests.faults.conftest import MakePlatform
from tests.faults.figures import often
from tests.faults.load import Answer, Load, ask, audit, event, recovered, send, settled
from tests.faults.platform import Platform, stopped
from tests.faults.proxy import Proxy
from tests.servers import PASSWORD
from tests.waiting import wait_for

SECONDS_TO_REFUSE = 12.0
"""Redis' time-out of 5 s, and what a noisy machine adds."""


def one(port: int) -> Answer:
    return ask(port, msgspec.json.encode(event(1)))


def refused(port: int, code: str) -> bool:
    """Whether the collector says so now, and when to come again."""
    answer = one(port)
    if answer.status != 503 or answer.code != code:
        return False
    assert answer.retry_after is not None
    assert int(answer.retry_after) > 0
    return True


# fault 6


class Call(NamedTuple):
    """A system call of the server, as strace shows it: its name, what it is called on, and all of
    its line.
    """

    name: str
    on: str
    line: str


def calls(trace: str) -> Iterator[Call]:
    for line in trace.splitlines():
        if match := re.match(
            r"(?:\[?\w* ?\d+\]? +)?(write|writev|sendto|fsync|fdatasync)\(\d+<(.*?)>", line
        ):
            assert "<unfinished" not in line, (
                "the server writes in several threads: their order cannot be told"
            )
            yield Call(match[1], match[2], line)


def answers_before_the_disk(trace: str) -> list[str]:
    """Answers that were sent while something written to the append-only file was not yet on the
    disk.
    """
    unsafe, early = False, []
    for call in calls(trace):
        if ".aof" in call.on:
            unsafe = call.name.startswith("write")
        elif unsafe and "TCP" in call.on:
            early.append(call.line)
    return early


def traced(platform: Platform, port: int, batches: int, to: Path) -> str:
    """What Redis does while events are sent; all of them are stored in its append-only file before
    this returns.
    """
    command = [
        "strace",
        "-f",
        "-yy",
        "-s",
        "64",
        "-e",
        "trace=write,writev,sendto,fsync,fdatasync",
        "-p",
        str(platform.valkey.pid),
        "-o",
        str(to),
    ]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if b"attached" not in said:
            pytest.skip(f"strace may not look at another process here: {said.decode().strip()}")
        for number in range(batches):
            send(port, [event(number)])
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
        if tracer.stderr:
            tracer.stderr.close()
    return to.read_text()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_after_a_power_cut_everything_acknowledged_is_on_disk(
    platform: Platform,
) -> None:
    batches = often(300, 60)
    collector = platform.role("collector")
    send(collector.port, [event(1)])
    seen = list(
        calls(trace := traced(platform, collector.port, batches, platform.folder / "always.txt"))
    )
    written = [call for call in seen if call.name.startswith("write") and ".aof" in call.on]
    synced = [call for call in seen if call.name in ("fsync", "fdatasync") and ".aof" in call.on]
    assert len(written) >= batches, f"an append is missing:\n{trace[-3000:]}"
    assert len(synced) >= batches
    assert answers_before_the_disk(trace) == []
    platform.role("processor")
    wait_for(platform.drained, "the queue to drain")
    assert platform.sql("select count(*) from raw_events") == str(batches + 1)
    platform.figures.acknowledged = batches + 1
    platform.redis("CONFIG", "SET", "appendfsync", "no")
    assert answers_before_the_disk(
        traced(platform, collector.port, 20, platform.folder / "no.txt")
    ), "this test could not fail"


# faults 7 and 8


def test_at_its_memory_limit_redis_is_refused_for_in_time_and_drains(
    make_platform: MakePlatform,
) -> None:
    platform = make_platform()
    platform.valkey.options["maxmemory"] = "8mb"
    with platform:
        collector = platform.role("collector")
        with Load(collector, batch=50, metadata={"text": "x" * 2000}) as load:
            wait_for(lambda: load.answers[503] > 20, "a refusal", 120)
            wait_for(lambda: refused(collector.port, "queue_full"), "a refusal that says why")
            held = platform.books()["queued"]
            assert held > 0
            platform.role("processor")
            recovered(platform, load)
            load.wait_for_more(often(2000, 200))
        wait_for(platform.drained, "the queue to drain")
        audit(platform, load)


def test_a_redis_that_is_full_all_the_same_refuses_and_goes_on_when_it_has_room(
    platform: Platform,
) -> None:
    collector, _ = platform.role("collector"), platform.role("processor")
    with Load(collector) as load:
        load.wait_for_more(200)
        platform.redis("CONFIG", "SET", "maxmemory", "1mb")
        wait_for(lambda: refused(collector.port, "queue_full"), "a refusal")
        platform.redis("CONFIG", "SET", "maxmemory", "512mb")
        recovered(platform, load)
        load.wait_for_more(200)
    wait_for(platform.drained, "the queue to drain")
    audit(platform, load)


class Bounded(Valkey):
    """A Valkey whose files may not grow beyond `blocks` of 512 bytes; beyond, writing fails, as it
    does on a full disk.
    """

    blocks = "unlimited"

    def _command(self) -> list[str]:
        return [
            "sh",
            "-c",
            f"trap '' XFSZ; ulimit -S -f {self.blocks}; exec \"$@\"",
            "sh",
            *super()._command(),
        ]


def test_a_full_disk_under_redis_is_a_503_and_everything_acknowledged_is_there_afterwards(
    make_platform: MakePlatform,
) -> None:
    platform = make_platform()
    platform.valkey = disk = Bounded(platform.folder / "valkey", password=PASSWORD)
    disk.blocks = str(often(8_000, 800))
    with platform:
        collector, processor = platform.role("collector"), platform.role("processor")
        with Load(collector) as load:
            load.wait_for_more(100)
            wait_for(lambda: refused(collector.port, "queue_unreachable"), "a refusal", 180)
            assert re.search(
                r"Short write|AOF write error|Error writing|File too large", disk.log.read_text()
            ), disk.log.read_text()[-2000:]
            disk.blocks = "unlimited"
            platform.restart(disk)
            recovered(platform, load)
            load.wait_for_more(200)
        settled(platform, load, processor)


# fault 9


def test_a_redis_that_evicts_is_refused_at_the_start_and_as_soon_as_it_begins_to(
    platform: Platform,
) -> None:
    running = platform.role("collector")
    sent = [event(n) for n in range(20)]
    send(running.port, sent)
    platform.redis("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    late = platform.role("collector", wait=False)
    assert late.process is not None
    assert late.process.wait(60) != 0
    assert "CONFIG SET maxmemory-policy noeviction" in late.tail()
    assert "Traceback" not in late.tail()
    late.process = None
    answers: list[Answer] = []

    def answered(status: int) -> bool:
        answers.append(one(running.port))
        return answers[-1].status == status

    wait_for(lambda: answered(503), "a refusal")
    assert answers[-1].code == "queue_unsafe"
    platform.redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
    began = time.monotonic()
    wait_for(lambda: answered(202), "events to be taken again")
    platform.figures.recovered(time.monotonic() - began)
    platform.role("processor")
    wait_for(platform.drained, "the queue to drain")
    platform.figures.acknowledged = len(sent) + sum(answer.status == 202 for answer in answers)
    assert platform.sql("select count(*) from raw_events") == str(platform.figures.acknowledged)


# fault 10, and the network that looks like it


def test_a_frozen_redis_is_a_503_within_the_time_out_and_nothing_is_lost(
    platform: Platform,
) -> None:
    collector, processor = platform.role("collector"), platform.role("processor")
    with Load(collector) as load:
        load.wait_for_more(200)
        for _ in range(often(3, 1)):
            with stopped(platform.valkey.pid):
                began = time.monotonic()
                assert refused(collector.port, "queue_unreachable")
                assert time.monotonic() - began < SECONDS_TO_REFUSE
            recovered(platform, load)
        load.wait_for_more(200)
    settled(platform, load, processor)


def test_a_way_to_redis_that_is_slow_cut_or_swallows_everything_costs_nothing_acknowledged(
    platform: Platform,
) -> None:
    with Proxy(platform.valkey.port) as way:
        platform.environment["REDIS_URL"] = platform.valkey.url.replace(
            f":{platform.valkey.port}/", f":{way.port}/"
        )
        collector, processor = platform.role("collector"), platform.role("processor")
        with Load(collector) as load:
            load.wait_for_more(200)
            way.delay = 0.3
            load.wait_for_more(100)
            for _ in range(often(5, 2)):
                way.cut()
                wait_for(lambda: refused(collector.port, "queue_unreachable"), "a refusal")
                way.mend()
                recovered(platform, load)
            way.swallow()
            began = time.monotonic()
            assert refused(collector.port, "queue_unreachable")
            assert time.monotonic() - began < SECONDS_TO_REFUSE
            way.mend()
            recovered(platform, load)
            load.wait_for_more(200)
        settled(platform, load, processor)
