"""A store comes back without its data, or with older data. Fault 49."""

import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analytics.queue import scripts
from tests import forking
from tests.faults.load import Load, event, post, recovered, send, settled
from tests.faults.platform import Platform, Role, http_get
from tests.waiting import wait_for

COMPARED_SECONDS = 120
"""Processors compare every 10 s."""


def agreed(platform: Platform, times: int = 1) -> None:
    """Wait until the stores have agreed so many times more."""
    target = int(platform.sql("select turn from queue_epoch")) + times
    reached = f"select turn >= {target} and seen_at is not null from queue_epoch"
    wait_for(lambda: platform.sql(reached) == "t", "the stores to be compared", COMPARED_SECONDS)


def lost_from(platform: Platform) -> datetime | None:
    text = platform.sql("select to_json(lost_from) from queue_epoch").strip('"')
    return datetime.fromisoformat(text) if text else None


def taken(collector: Role, events: int) -> None:
    """Send events until they are taken: a server that just started may cost the first try."""
    text = msgspec.json.encode([event(number) for number in range(events)])
    wait_for(lambda: post(collector.port, text)[0] == 202, "events to be taken")


def copy(data: Path, to: Path) -> None:
    """A folder with its owner."""
    subprocess.run(["cp", "-a", str(data), str(to)], check=True)


def doctor(platform: Platform) -> str:
    """What the doctor says of losses."""
    done = forking.run("doctor", "--role=processor", env=platform.environment)
    line = re.search(r"^. losses .*$", done.stdout, re.M)
    assert line, done.stdout + done.stderr
    return line[0]


def meta(platform: Platform, api: Role, question: str = "trends?last=1h") -> Any:
    return platform.get(api, f"/api/{question}")["meta"]


def gauge(role: Role) -> float:
    text = http_get(f"{role.url}/metrics")[1].decode()
    found = re.search(r"^analytics_lost_since_timestamp_seconds(?:{})? (\S+)$", text, re.M)
    return float(found[1]) if found else -1.0


def since(platform: Platform, api: Role) -> datetime | None:
    """Since when an answer is unsure."""
    said = meta(platform, api)
    assert said["partial"] is ("unsure_since" in said)
    return datetime.fromisoformat(said["unsure_since"]) if said["partial"] else None


def test_a_redis_that_was_emptied_is_told_by_answers_metrics_and_the_doctor(
    platform: Platform,
) -> None:
    collector, api = platform.role("collector"), platform.role("api")
    processor = platform.role("processor")
    agreed(platform)
    assert since(platform, api) is None
    processor.kill()
    sent = [event(number) for number in range(50)]
    send(collector.port, sent)
    assert platform.books()["queued"] == len(sent)
    platform.redis("FLUSHALL")
    told = since(platform, api)
    assert told is not None, "the api says so at once"
    assert doctor(platform).startswith("✗")
    processor.start()
    wait_for(lambda: lost_from(platform), "the loss to be recorded", COMPARED_SECONDS)
    assert lost_from(platform) == told
    wait_for(lambda: gauge(processor) == told.timestamp(), "the gauge")
    assert processor.tail().count("may be lost") == 1
    send(collector.port, [event(99)])
    assert since(platform, api) == told
    assert "✗" in doctor(platform)
    assert f"{told:%Y-%m-%d %H:%M}Z may be lost" in platform.run("losses", "acknowledge")
    wait_for(lambda: since(platform, api) is None, "answers that are sure again")
    wait_for(lambda: gauge(processor) == 0, "the gauge to end", COMPARED_SECONDS)
    assert doctor(platform).startswith("✓")


@pytest.mark.parametrize("collector_lives", [True, False])
def test_a_redis_with_an_older_snapshot_is_told_however_much_came_since(
    platform: Platform, collector_lives: bool
) -> None:
    collector, processor = platform.role("collector"), platform.role("processor")
    agreed(platform)
    taken(collector, 10)
    data, snapshot = platform.valkey.folder / "appendonlydir", platform.folder / "snapshot"
    platform.kill(platform.valkey)
    copy(data, snapshot)
    platform.valkey.start()
    wait_for(platform.drained, "the queue to drain")
    if not collector_lives:
        agreed(platform, 2)
    taken(collector, 20)
    assert lost_from(platform) is None
    if not collector_lives:
        collector.kill()
    platform.kill(platform.valkey)
    shutil.rmtree(data)
    copy(snapshot, data)
    platform.valkey.start()
    if not collector_lives:
        collector.start()

    def told() -> bool:
        """More comes than was lost."""
        taken(collector, 100)
        return lost_from(platform) is not None

    wait_for(told, "the loss to be recorded", COMPARED_SECONDS)
    assert processor.process is not None
    assert processor.process.poll() is None
    assert doctor(platform).startswith("✗")


def test_killing_everything_and_starting_it_again_is_no_alarm(platform: Platform) -> None:
    collector, processor = platform.role("collector"), platform.role("processor")
    with Load(collector) as load:
        load.wait_for_more(100)
        agreed(platform)
        processor.kill()
        collector.kill()
        platform.kill(platform.valkey)
        platform.kill(platform.postgres)
        for server in (platform.valkey, platform.postgres):
            server.start()
        collector.start()
        processor.start()
        recovered(platform, load)
        agreed(platform, 2)
    settled(platform, load, processor)
    assert lost_from(platform) is None
    assert platform.redis("GET", scripts.EPOCH) is not None
    assert doctor(platform).startswith("✓")
