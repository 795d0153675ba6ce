"""The Python client against a real collector, through to an answer of the api."""

import gzip
import json
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from analytics.client import Client, Event
from tests.faults.platform import ROOT, Platform, Role, http_get
from tests.sdks.gate import Gate
from tests.servers import temporary_folder
from tests.waiting import wait_for

KEY = "service-key"


class Service:
    """A platform that takes events with a key, a collector that refuses, and what the api has."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.collector: Role = platform.role("collector")
        self.api: Role = platform.role("api")
        platform.role("processor")
        platform.run("keys", "create", "--project", "default", "--scope", "ingest", "--token", KEY)
        platform.redis("CONFIG", "SET", "maxmemory", "1gb")
        platform.environment["MAX_REDIS_MEMORY"] = "0.000001"
        self.closed = platform.role("collector", wait=False)
        wait_for(
            lambda: http_get(f"{self.closed.url}/health/live")[0] == 200,
            "the collector that refuses",
        )

    def events(self, action: str) -> list[dict[str, Any]]:
        wait_for(self.platform.drained, "the queue to drain")
        rows: list[dict[str, Any]] = self.platform.get(
            self.api, f"/api/events?event=*:{action}&limit=1000&last=1d"
        )["data"]["rows"]
        return rows


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with (
        temporary_folder("client") as folder,
        Platform(folder, REQUIRE_WRITE_KEY="true") as platform,
    ):
        yield Service(platform)


@pytest.fixture
def action() -> str:
    """A name for the events of one test."""
    return f"test_{uuid.uuid4().hex[:8]}"


def bodies(gate: Gate) -> list[list[Event]]:
    return [json.loads(gzip.decompress(body))["events"] for body in gate.sent]


def test_what_is_captured_is_found_as_it_was_given(service: Service, action: str) -> None:
    moment = datetime.now(UTC).replace(microsecond=0)
    with Client(service.collector.url, KEY) as client:
        assert client.capture(
            action,
            {"plan": "pro", "café": [1, None]},
            user_id="ada",
            session_id="s1",
            event_type="billing",
            timestamp=moment,
        )
        assert client.capture(action, user_id="x" * 100)
        assert client.capture(action)
        assert client.flush(20)
    rows = {row["user_id"]: row for row in service.events(action)}
    ada = rows["ada"]
    assert (ada["session_id"], ada["event_type"], ada["metadata"]) == (
        "s1",
        "billing",
        {"plan": "pro", "café": [1, None]},
    )
    assert datetime.fromisoformat(ada["timestamp"]) == moment
    assert rows["x" * 100]["session_id"] == "$none"
    assert rows[None]["session_id"] == "$nobody"


def test_many_threads_send_few_requests_and_every_event_once(service: Service, action: str) -> None:
    with Gate(service.collector.port) as gate, Client(gate.url, KEY) as client:

        def work(who: int) -> None:
            for n in range(100):
                assert client.capture(action, {"n": n}, user_id=f"user-{who}")

        threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(30)
        assert len(gate.sent) <= 12
    seen = {(row["user_id"], row["metadata"]["n"]) for row in service.events(action)}
    assert len(service.events(action)) == len(seen) == 800


def test_an_outage_of_503_is_waited_out_with_the_same_ids(service: Service, action: str) -> None:
    with (
        Gate(service.collector.port, closed=service.closed.port, seconds=2.0) as gate,
        Client(gate.url, KEY) as client,
    ):
        for n in range(5):
            client.capture(action, {"n": n})
        assert client.flush(40)
        assert gate.heard[0] == 503
        assert gate.heard[-1] == 202
        assert len({tuple(event["id"] for event in events) for events in bodies(gate)}) == 1
    assert sorted(row["metadata"]["n"] for row in service.events(action)) == list(range(5))


def test_repeats_of_what_was_taken_already_count_once(service: Service, action: str) -> None:
    with Gate(service.collector.port, forgotten=2) as gate, Client(gate.url, KEY) as client:
        for n in range(5):
            client.capture(action, {"n": n})
        assert client.flush(40)
        assert gate.heard == [503, 503, 202]
    assert len(service.events(action)) == 5


def test_a_collector_that_is_not_there_is_waited_for(service: Service, action: str) -> None:
    with Gate(9) as gate, Client(gate.url, KEY) as client:
        client.capture(action)
        assert not client.flush(0.5)
        gate.port = service.collector.port
        assert client.flush(40)
    assert len(service.events(action)) == 1


def test_what_can_never_be_taken_is_dropped_and_told(service: Service, action: str) -> None:
    dropped: list[tuple[list[Event], str]] = []
    told = lambda events, reason: dropped.append((events, reason))  # noqa: E731
    with Client(service.collector.url, KEY, on_drop=told) as client:
        client.capture("")
        client.capture(action)
        assert client.flush(20)
    assert [
        (events[0]["event_action"], reason.partition(":")[0]) for events, reason in dropped
    ] == [("", "too_short")]
    assert len(service.events(action)) == 1
    with Client(service.collector.url, "ak_w_unknown", on_drop=told) as client:
        client.capture(action)
        assert client.flush(20)
    assert dropped[1][0][0]["event_action"] == action
    assert "401" in dropped[1][1]


def test_every_event_that_is_rejected_is_told_though_an_answer_names_only_some(
    service: Service, action: str
) -> None:
    dropped: list[Event] = []
    told = lambda events, _: dropped.extend(events)  # noqa: E731
    with Client(service.collector.url, KEY, on_drop=told) as client:
        for n in range(450):
            client.capture(action if n % 3 == 0 else "x" * 256, {"n": n})
        assert client.flush(40)
    assert sorted(event["metadata"]["n"] for event in dropped) == [n for n in range(450) if n % 3]
    assert sorted(row["metadata"]["n"] for row in service.events(action)) == [*range(0, 450, 3)]


def test_large_events_go_in_several_requests(service: Service, action: str) -> None:
    with Gate(service.collector.port) as gate, Client(gate.url, KEY) as client:
        for n in range(3):
            client.capture(action, {"n": n, "text": random.Random(n).randbytes(120_000).hex()})
        assert client.flush(40)
        assert len(gate.sent) > 1
    assert sorted(row["metadata"]["n"] for row in service.events(action)) == [0, 1, 2]


def test_a_batch_that_someone_finds_too_large_is_sent_in_parts() -> None:
    taken: list[list[Event]] = []

    class Narrow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events = json.loads(
                gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
            )["events"]
            taken.extend([events] if len(events) <= 3 else [])
            self.send_response(202 if len(events) <= 3 else 413)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Narrow) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            for n in range(10):
                client.capture("a", {"n": n})
            assert client.flush(20)
        server.shutdown()
    assert [event["metadata"]["n"] for events in taken for event in events] == list(range(10))


def test_a_full_queue_refuses_what_is_new_and_never_blocks() -> None:
    dropped: list[Event] = []
    client = Client(
        "http://127.0.0.1:9", max_bytes=1000, on_drop=lambda events, _: dropped.extend(events)
    )
    taken = [client.capture("a", {"n": n}) for n in range(20)]
    assert taken[0]
    assert not taken[-1]
    assert taken == sorted(taken, reverse=True)
    client.close(0.2)
    assert [event["metadata"]["n"] for event in dropped] == list(range(sum(taken)))
    assert not client.capture("late")


@pytest.mark.parametrize("wrong", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}])
def test_what_json_cannot_express_is_the_callers_mistake(wrong: dict[str, Any]) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises((TypeError, ValueError)):
        client.capture("a", wrong)


def test_the_end_of_a_program_sends_what_waits(service: Service, action: str) -> None:
    made = f"Client({service.collector.url!r}, {KEY!r}, interval=60)"
    program = f"from analytics.client import Client; {made}.capture({action!r})"
    keep = f"import analytics.client as c; client = c.{made}; client.capture({action!r})"
    subprocess.run([sys.executable, "-c", keep], cwd=ROOT, check=True, timeout=30)
    assert len(service.events(action)) == 1
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=30)
    assert len(service.events(action)) == 2


def test_a_forked_process_sends_its_own_events_and_not_its_parents(
    service: Service, action: str
) -> None:
    program = f"""
import os, sys
from analytics.client import Client
client = Client({service.collector.url!r}, {KEY!r}, interval=1)
client.capture({action!r}, {{"who": "parent"}})
child = os.fork()
if child == 0:
    client.capture({action!r}, {{"who": "child"}})
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        cwd=ROOT,
        check=True,
        timeout=30,
    )
    assert sorted(row["metadata"]["who"] for row in service.events(action)) == ["child", "parent"]


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys, analytics.client; "
        "print([n for n in sys.modules if n.partition('.')[0] not in sys.stdlib_module_names])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = set(json.loads(done.stdout.replace("'", '"'))) - {"__main__"}
    assert {name for name in names if name.startswith("analytics")} == {
        "analytics",
        "analytics.client",
    }
    assert {name for name in names if name in ("msgspec", "starlette", "orjson", "redis")} == set()
