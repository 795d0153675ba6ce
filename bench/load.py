"""A load client: connections that send request after request and count acknowledged events.

python -m bench.load PORT --events 100 [--connections 32] [--seconds 8] [--rate 500]
    [--path /collect] [--distinct 64]

It runs as a process of its own and prints one JSON object. Latencies are those of acknowledged
requests. At a fixed rate, a latency counts from the time the request was due, not from the time a
connection was free: a server that stalls cannot hide it.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import uvloop

TYPES = ("engagement", "navigation", "commerce", "error", "system")
ACTIONS = ("view", "click", "scroll", "purchase", "submit", "login")


def event(source: random.Random, at: datetime) -> dict[str, Any]:
    """An event of the last hour: one of 5,000 people, 20,000 sessions and 30 names."""
    return {
        "session_id": f"s-{source.randint(1, 20_000)}",
        "user_id": f"u-{source.randint(1, 5_000)}",
        "event_type": source.choice(TYPES),
        "event_action": source.choice(ACTIONS),
        "metadata": {
            "page": f"/p/{source.randint(1, 300)}",
            "button": f"b{source.randint(1, 50)}",
            "price": source.randint(1, 1000),
            "referrer": "google",
        },
        "timestamp": (at - timedelta(seconds=source.randint(1, 3600))).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
    }


def native(source: random.Random, events: int) -> bytes:
    """A body for /collect: one event, or a list."""
    at = datetime.now(UTC)
    batch = [event(source, at) for _ in range(events)]
    return json.dumps(batch[0] if events == 1 else batch, separators=(",", ":")).encode()


def segment(source: random.Random, events: int) -> bytes:
    """A body as Segment's library for Python sends it, every event with an id of its own."""
    at = datetime.now(UTC)
    batch = []
    for _ in range(events):
        fields = event(source, at)
        batch.append(
            {
                "type": "track",
                "event": fields["event_action"],
                "userId": fields["user_id"],
                "anonymousId": None,
                "properties": fields["metadata"],
                "timestamp": fields["timestamp"],
                "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
                "integrations": {},
                "messageId": ID_PLACE,
            }
        )
    return json.dumps(
        {"batch": batch, "sentAt": at.isoformat(), "writeKey": "nobody has registered it"}
    ).encode()


ID_PLACE = "00000000-0000-4000-8000-000000000000"
KINDS: dict[str, tuple[str, Callable[[random.Random, int], bytes]]] = {
    "native": ("/collect", native),
    "segment": ("/v1/batch", segment),
}


class Load:
    """Sends requests, in turn from a set of bodies, until the time is over."""

    def __init__(
        self, port: int, kind: str, events: int, distinct: int, seed: int, path: str | None = None
    ) -> None:
        source = random.Random(seed)
        default_path, make = KINDS[kind]
        self.port = port
        self.events = events
        self.ids = random.Random()  # without a seed: another run must bring other events
        self.requests = []
        for _ in range(distinct):
            body = make(source, events)
            head = (
                f"POST {path or default_path} HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
            )
            self.requests.append("\r\n".join([*head, "", ""]).encode() + body)
        self.sent = self.acknowledged = self.refused = self.broken = 0
        self.seconds: list[float] = []

    def next(self) -> bytes:
        """The next request; ids in its body are replaced by new ones."""
        request = self.requests[self.sent % len(self.requests)]
        self.sent += 1
        parts = request.split(ID_PLACE.encode())
        if len(parts) == 1:
            return request
        pieces = [parts[0]]
        for part in parts[1:]:
            text = f"{self.ids.getrandbits(128):032x}"
            id_ = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"
            pieces += (id_.encode(), part)
        return b"".join(pieces)

    async def run(self, connections: int, seconds: float, rate: float | None) -> dict[str, Any]:
        began = time.perf_counter()
        due = iter(()) if rate is None else (began + i / rate for i in range(int(rate * seconds)))
        await asyncio.gather(
            *(self._connection(began + seconds, due if rate else None) for _ in range(connections))
        )
        took = time.perf_counter() - began
        return {
            "requests": self.acknowledged,
            "refused": self.refused,
            "broken": self.broken,
            "events": self.acknowledged * self.events,
            "seconds": took,
            "latency_s": sorted(self.seconds)[:: max(1, len(self.seconds) // 10_000)],
        }

    async def _connection(self, end: float, due: Any) -> None:
        reader = writer = None
        while True:
            if due is None:
                begun = time.perf_counter()
                if begun >= end:
                    break
            else:
                moment = next(due, None)
                if moment is None:
                    break
                begun = moment
                await asyncio.sleep(begun - time.perf_counter())
            request = self.next()
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(
                    int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                )
            except (OSError, asyncio.IncompleteReadError):
                self.broken += 1
                reader = writer = None
                continue
            if head[9:10] == b"2":
                self.acknowledged += 1
                self.seconds.append(time.perf_counter() - begun)
            else:
                self.refused += 1
        if writer is not None:
            writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("port", type=int)
    parser.add_argument("--kind", choices=KINDS, default="native")
    parser.add_argument("--path")
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument(
        "--rate", type=float, help="requests a second; as many as are answered without it"
    )
    parser.add_argument("--distinct", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    load = Load(
        options.port, options.kind, options.events, options.distinct, options.seed, options.path
    )
    print(json.dumps(uvloop.run(load.run(options.connections, options.seconds, options.rate))))


if __name__ == "__main__":
    main()
