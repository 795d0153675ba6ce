"""A load client that journals every id that was acknowledged and every answer that was not; and the
audit of what became of them.
"""

import asyncio
import http.client
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from analytics.queue import body, scripts
from tests.faults.platform import Platform, Role
from tests.waiting import wait_for


def event(number: int, *, named: bool = True, **extra: Any) -> dict[str, Any]:
    """A believable event; `number` decides all but its id."""
    made = {
        "session_id": f"s{number % 97}",
        "user_id": f"u{number % 41}",
        "event_type": ("engagement", "navigation", "commerce")[number % 3],
        "event_action": "click",
        "metadata": {"n": number},
        "timestamp": datetime.now(UTC).isoformat(),
        **extra,
    }
    return {"id": str(uuid.uuid4()), **made} if named else made


class Answer(NamedTuple):
    """What the collector said; status 0 when the connection broke before it said anything."""

    status: int
    body: bytes
    retry_after: str | None

    @property
    def code(self) -> str:
        return str(msgspec.json.decode(self.body)["error"]["code"])


def ask(port: int, text: bytes) -> Answer:
    """POST /collect."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/collect", text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), answer.getheader("Retry-After"))
    except (OSError, http.client.HTTPException):
        return Answer(0, b"", None)
    finally:
        connection.close()


def post(port: int, text: bytes) -> tuple[int, bytes]:
    """POST /collect, by those who only want to know whether it was taken."""
    answer = ask(port, text)
    return answer.status, answer.body


def send(port: int, events: Sequence[dict[str, Any]]) -> None:
    """Send a batch that must be taken."""
    status, answer = post(port, msgspec.json.encode(events))
    assert status == 202, answer


def smuggle(platform: Platform, packed: bytes, events: int, *, job: bytes | None = None) -> None:
    """Put a job into the queue past the collector's checks."""

    async def enqueue() -> None:
        async with Redis.from_url(platform.valkey.url) as redis:
            accepted, _ = await scripts.ENQUEUE.run(
                redis, "", 1, scripts.job_id(events), events, job or body.write(packed)
            )
            assert accepted >= events

    asyncio.run(enqueue())


class Load:
    """Threads that send batches with ids of their own and resend each, unchanged, until it is
    acknowledged, as an SDK does.
    """

    def __init__(
        self,
        *roles: Role,
        threads: int = 4,
        batch: int = 20,
        seed: int = 1,
        pause: float = 0.0,
        **extra: Any,
    ) -> None:
        """`pause` seconds between a thread's batches, at random around it; `extra` fields stand in
        every event.
        """
        self.ports = [role.port for role in roles]
        self.batch = batch
        self.pause = pause
        self.extra = extra
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.answers: Counter[int] = Counter()
        self.unclear: list[tuple[int, bytes]] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._send, args=(random.Random(seed + n),), daemon=True)
            for n in range(threads)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive(), "the load client hangs"

    def wait_for_more(self, events: int) -> None:
        """Wait until this many further events are acknowledged."""
        target = len(self.acknowledged) + events
        end = time.monotonic() + 120
        while len(self.acknowledged) < target:
            assert time.monotonic() < end, (
                f"no more events are acknowledged; answers so far: {self.answers}"
            )
            time.sleep(0.02)

    def _send(self, dice: random.Random) -> None:
        while not self._stop.is_set():
            time.sleep(self.pause * dice.uniform(0.5, 1.5))
            events = [event(dice.randrange(10_000), **self.extra) for _ in range(self.batch)]
            text = msgspec.json.encode(events)
            while True:
                status, answer, retry_after = ask(dice.choice(self.ports), text)
                with self._lock:
                    self.answers[status] += 1
                    if status == 202:
                        self.acknowledged |= {sent["id"]: sent for sent in events}
                    elif status:
                        self._judge(status, answer, retry_after)
                if status == 202 or self._stop.is_set():
                    break
                time.sleep(dice.uniform(0.02, 0.1))

    def _judge(self, status: int, answer: bytes, retry_after: str | None) -> None:
        try:
            error = msgspec.json.decode(answer)["error"]
            clear = bool(error["code"] and error["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            clear = False
        if not clear or status == 500 or (status == 503 and not retry_after):
            self.unclear.append((status, answer))


def audit(platform: Platform, load: Load) -> None:
    """After the drain: every acknowledged event is stored exactly once, rollups equal raw counts,
    the books balance.
    """
    figures = platform.figures
    figures.acknowledged = len(load.acknowledged)
    stored = Counter(platform.sql("select id from raw_events").split())
    dead = set(platform.sql("select event_id from dead_letters where event_id is not null").split())
    lost = [id_ for id_ in load.acknowledged if id_ not in stored and id_ not in dead]
    figures.lost, figures.duplicated = len(lost), sum(n - 1 for n in stored.values())
    assert not lost, (
        f"{len(lost)} of {len(load.acknowledged)} acknowledged events are lost, e.g. {lost[:3]}"
    )
    assert not figures.duplicated, "an event is stored twice"
    assert not load.unclear, f"answers without code and message: {load.unclear[:3]}"
    check_books(platform)


def settled(platform: Platform, load: Load, processor: Role) -> None:
    """Wait until the queue has drained; the processor lives through it all, and the books are
    audited.
    """
    wait_for(platform.drained, "the queue to drain", 180)
    assert processor.process is not None
    assert processor.process.poll() is None, "the processor ended"
    audit(platform, load)


def check_books(platform: Platform) -> None:
    """Rollups equal raw counts, and the books equal the tables."""
    books = platform.books()
    figures = platform.figures
    figures.acknowledged = figures.acknowledged or books["accepted"]
    assert (
        books["accepted"]
        == books["stored"] + books["duplicate"] + books["dead_lettered"] + books["queued"]
    ), books
    assert books["queued"] == 0, books
    assert books["stored"] == int(platform.sql("select count(*) from raw_events")), books
    assert books["dead_lettered"] == int(
        platform.sql("select coalesce(sum(events), 0) from dead_letters")
    ), books
    raw = (
        "select project, (timestamp at time zone 'UTC')::date, count(*) from raw_events"
        " group by 1, 2 order by 1, 2"
    )
    rollup = (
        "select project, date, value from daily_metrics where metric_name = 'events'"
        " and dimension_key = '' and dimension_value = '' order by 1, 2"
    )
    assert platform.sql(rollup) == platform.sql(raw)
    days = platform.sql(
        "select count(distinct (project, (timestamp at time zone 'UTC')::date)) from raw_events"
    )
    assert platform.run("verify").strip() == f"verified days: {days}"
    twice = platform.sql("select count(*) - count(distinct (project, id)) from raw_events")
    assert twice == "0"


def recovered(platform: Platform, load: Load) -> None:
    """Wait, from the end of a fault, until events are acknowledged and stored again, and note how
    long that took.
    """
    began, before = time.monotonic(), platform.books()["stored"]
    load.wait_for_more(1)
    wait_for(lambda: platform.books()["stored"] > before, "events to be stored again", 120)
    platform.figures.recovered(time.monotonic() - began)
