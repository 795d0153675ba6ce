"""Small bodies that become large: as many at once as a collector works on, and its memory."""

import asyncio
import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from analytics.protocols.protocol import MAX_REQUEST_EVENTS, MAX_VALUES
from analytics.roles.collector import turns
from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES, MAX_INFLATED_BYTES
from analytics.roles.collector.turns import LARGE_AT_ONCE
from tests.collecting import GOOD, running

MOST_BYTES = 200 << 20
"""What they may take besides the collector's own 90 MB; it may have 512 MB in all."""

MOST = MAX_VALUES - 20
"""Values of a list that is decoded."""

ROOT = Path(__file__).parents[2]
LONG = "a" * 200_000
TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id")
ADDRESS = "https://a.example/?" + "&".join(f"{tag}={LONG[:1_900]}" for tag in TAGS)
PLAUSIBLE = b'{"n":"e","u":"/","d":"x","p":"[%b1]"}'
SNOWPLOW = b'{"data":[{"e":"ue","ue_px":"%b"}]}'
CALL = {"type": "track", "event": "e", "userId": "u"}
EVENT = {"event": "e", "distinct_id": "u"}


class Body(NamedTuple):
    """What is sent to a path, and the status of the answer."""

    path: str
    make: Callable[[], bytes]
    status: int = 413
    headers: Mapping[str, str] = {}


def values(value: bytes, number: int) -> bytes:
    return b"[" + (value + b",") * number + b"1.10]"


def batch(name: str, number: int, event: Any, **fields: Any) -> bytes:
    """A batch whose other fields are said once."""
    return json.dumps({**fields, name: [event] * number}).encode()


def ga4(number: int, event: Any, **fields: Any) -> Body:
    return Body("/mp/collect?measurement_id=G", lambda: batch("events", number, event, **fields))


DECODED: dict[str, Body] = {
    "numbers": Body(
        "/collect",
        lambda: json.dumps(GOOD).encode()[:-1] + b',"metadata":{"l":%b}}' % values(b"1.5", 2**21),
    ),
    "as many numbers as there may be": Body(
        "/collect",
        lambda: json.dumps(GOOD).encode()[:-1] + b',"metadata":{"l":%b}}' % values(b"1.5", MOST),
        400,
    ),
    "numbers that the reply asks for again": Body(
        "/i/v1/analytics/events",
        lambda: b'{"batch":[{"event":"e","properties":{"l":%b}}]}' % values(b"1.5", MOST),
        200,
    ),
    "numbers of another product": Body(
        "/e/", lambda: b'{"event":"e","properties":{"l":%b}}' % values(b"1.5", 2_600_000)
    ),
    "numbers in base64": Body(
        "/track", lambda: b"data=" + base64.b64encode(values(b"1.5", 1_900_000))
    ),
    "numbers in escapes": Body("/api/event", lambda: PLAUSIBLE % (rb"1.5\u002c" * 1_100_000)),
    "numbers in base64 in a string": Body(
        "/com.snowplowanalytics.snowplow/tp2",
        lambda: SNOWPLOW % base64.b64encode(values(b"1.5", 1_900_000)),
        400,
    ),
    "strings": Body("/v1/batch", lambda: values(b'"ab"', 2_000_000)),
    "lists": Body("/v1/batch", lambda: values(b"[1.5]", 1_700_000)),
    "objects": Body("/collect", lambda: values(b'{"a":1.5}', 1_000_000)),
    "events": Body("/collect", lambda: json.dumps([GOOD] * 120_000).encode()),
    "lines": Body("/import", lambda: b"1.5\n" * 2_600_000),
    "empty lines": Body("/import", lambda: b"\n" * 10_000_000),
    "fields": Body(
        "/matomo.php",
        lambda: batch("requests", 400, "&".join(f"{number:x}=1" for number in range(4_000))),
    ),
}
"""What is small until it is decoded."""

COPIED: dict[str, Body] = {
    "ga4": ga4(3_000, {"name": "b"}, client_id="c", x=LONG),
    "ga4, fields": ga4(40_000, {}, **{f"{number:x}": 1 for number in range(100_000)}),
    "ga4, who": ga4(3_000, {"name": "b", "params": {"session_id": 1}}, client_id=LONG * 40),
    "ga4, when": ga4(3_000, {"name": "b"}, timestamp_micros=f" {LONG * 40}"),
    "segment": Body("/v1/batch", lambda: batch("batch", 3_000, CALL, context={"x": LONG})),
    "posthog": Body("/batch/", lambda: batch("batch", 3_000, EVENT, sent_at=LONG)),
    "posthog, a migration": Body(
        "/batch/", lambda: batch("batch", 90, EVENT, historical_migration=[LONG]), 200
    ),
    "posthog, a library": Body(
        "/i/v1/analytics/events",
        lambda: batch("batch", 1_000, EVENT),
        200,
        {"posthog-sdk-info": f"{LONG[:30_000]}/{LONG[:30_000]}"},
    ),
    "addresses": Body(
        "/collect",
        lambda: json.dumps(
            [GOOD | {"metadata": {"$url": ADDRESS, "$referrer": f"https://{'a.' * 900}"}}] * 750
        ).encode(),
    ),
}
"""What is said once in a request and copied into each event, or twice in an event."""

HONEST: dict[str, Body] = {
    "valid events": Body(
        "/collect",
        lambda: json.dumps(
            [
                GOOD
                | {"metadata": {"$url": "https://a.example/b?utm_source=c", "price": 1.5, "n": 1}}
            ]
            * MAX_REQUEST_EVENTS
        ).encode(),
        202,
    ),
    "events of another product": Body(
        "/api/batch",
        lambda: json.dumps(
            [{"type": "event", "payload": {"name": "e", "url": f"/{LONG[:130]}"}}]
            * MAX_REQUEST_EVENTS
        ).encode(),
        200,
    ),
    "an import": Body(
        "/import",
        lambda: json.dumps(
            [{"event": "e", "properties": {f"property {n}": f"value {n}" for n in range(110)}}]
            * 2_000
        ).encode(),
        200,
    ),
    "what all events share": Body(
        "/v1/batch", lambda: batch("batch", 10_000, CALL, context={"x": LONG[:1_000]}), 200
    ),
}
"""What is large and still taken."""

BODIES = DECODED | COPIED | HONEST
"""Name → a body of at most a megabyte, compressed, that takes the most memory in one place."""


def peak_bytes() -> int:
    """The most memory of this process since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def measured(body: Body, packed: bytes) -> tuple[list[int], int, int]:
    """The statuses of the answers, the bytes that the requests took, and those of their events."""
    headers = {**body.headers, "content-encoding": "gzip"}
    async with running(retention_days=0) as client:
        await client.post(body.path, content=b"{}")
        forget_peak()
        before = peak_bytes()
        answers = await asyncio.gather(
            *(
                client.post(body.path, content=packed, headers=headers, timeout=600)
                for _ in range(LARGE_AT_ONCE)
            )
        )
        queued = sum(len(event.metadata) for event in client.sink.events)
        return [answer.status_code for answer in answers], peak_bytes() - before, queued


if __name__ == "__main__":
    turns.WAIT_SECONDS = 600.0  # a busy machine takes long, and memory is what counts here
    print(json.dumps(asyncio.run(measured(BODIES[sys.argv[1]], sys.stdin.buffer.read()))))


@pytest.mark.parametrize("name", BODIES)
def test_small_bodies_that_become_large_take_little_memory(name: str) -> None:
    text = BODIES[name].make()
    packed = gzip.compress(text, 9)
    assert len(text) <= MAX_INFLATED_BYTES
    assert len(packed) <= MAX_COMPRESSED_BYTES
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.test_memory", name],
        input=packed,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
    )
    statuses, taken, queued = json.loads(done.stdout)
    assert taken < MOST_BYTES
    assert queued < MOST_BYTES / 2
    assert statuses == [BODIES[name].status] * LARGE_AT_ONCE
