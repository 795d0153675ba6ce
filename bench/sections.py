"""The sections of the benchmark, one function each.

Each prints its table, compares it with its targets, and checks that no acknowledged event was lost.
"""

import asyncio
import itertools
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from analytics.embedded import free_port
from analytics.events import Event, Job
from analytics.protocols import native
from analytics.redis import key_mirror
from analytics.settings import Settings
from analytics.stores import PostgresStore
from analytics.stores.writing import rows
from bench import load as client
from bench import startup
from bench.report import Report, below, met, milliseconds, percentile, spread
from bench.stand import DATABASE, KEY, Role, Stand, cpu_seconds, load, stand


class Effort(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: float
    """Of each round."""
    starts: int
    """Of `analytics run`."""
    sockets: int
    """Connections to realtime."""


SHORT = Effort(rounds=2, seconds=2.5, starts=2, sockets=1000)
LONG = Effort(rounds=5, seconds=8, starts=5, sockets=1000)


class Lost(SystemExit):
    """Acknowledged events were not stored, or the books do not balance."""


@contextmanager
def nothing_lost(at: Stand, counted: list[int]) -> Iterator[None]:
    """Check at the end that all acknowledged events (`counted`) are stored and the books balance.

    Raises Lost.
    """
    before = at.rows()
    yield
    at.drained()
    stored, acknowledged = at.rows() - before, sum(counted)
    books = {name.decode(): int(n) for name, n in at.redis("HGETALL", "analytics:books").items()}
    balance = (
        books.get("stored", 0)
        + books.get("duplicate", 0)
        + books.get("dead_lettered", 0)
        + books.get("queued", 0)
    )
    if stored < acknowledged or books.get("accepted", 0) != balance:
        raise Lost(
            f"{acknowledged} events were acknowledged and {stored} stored; the books: {books}"
        )


def _ratio(ours: list[float], limit: list[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(ours, limit, strict=True))


def bare(at: Stand) -> Role:
    port = free_port()
    role = Role("bare route", [sys.executable, "-m", "bench.bare", str(port)], port, {}, path="/")
    at.roles.append(role)
    return role


def mirror_keys(at: Stand) -> None:
    """Run a processor until it has mirrored the keys: collectors cannot check keys before."""
    processor = at.start("processor")
    while not at.redis("EXISTS", key_mirror.SYNCED):
        time.sleep(0.05)
    at.stop(processor)


def collector(report: Report, effort: Effort) -> None:
    """Requests per second against a bare route on the same server, in turns.

    No processor runs meanwhile, so that the rest of the machine is free.
    """
    report.head(
        "a request holds",
        "collector, requests/s",
        "bare route, requests/s",
        "ratio",
        "ratio by CPU time",
        "target",
    )
    kinds = (
        ("one event", "native", 1, 512),
        ("100 events", "native", 100, 64),
        ("1 event of Segment's library", "segment", 1, 512),
        ("100 of them", "segment", 100, 64),
    )
    with stand() as at:
        mirror_keys(at)
        # nobody drains it meanwhile
        limit, ours = bare(at), at.start("collector", MAX_QUEUED_EVENTS="100000000")
        taken: list[int] = []
        for name, kind, events, distinct in kinds:
            rates: dict[Role, list[float]] = {ours: [], limit: []}
            costs: dict[Role, list[float]] = {ours: [], limit: []}
            for _, role in itertools.product(range(effort.rounds), rates):
                used = cpu_seconds(role.pid)
                result = load(
                    role.port, kind=kind, events=events, distinct=distinct, seconds=effort.seconds
                )
                if not result["requests"]:
                    raise SystemExit(f"the {role.name} refused every request")
                rates[role].append(result["requests"] / result["seconds"])
                costs[role].append((cpu_seconds(role.pid) - used) / result["requests"])
                if role is ours:
                    taken.append(result["events"])
            ratio, by_cpu = _ratio(rates[ours], rates[limit]), _ratio(costs[limit], costs[ours])
            bar = met(ratio, 0.6) if (kind, events) == ("native", 1) else ""
            report.row(
                name,
                spread(rates[ours]),
                spread(rates[limit]),
                f"{ratio:.2f}",
                f"{by_cpu:.2f}",
                bar,
            )
        at.stop(limit, ours)
        with nothing_lost(at, taken):
            at.start("processor")
            at.drained(300)
    report.say(f"{sum(taken):,} events acknowledged, and all of them were stored afterwards.")


def store(report: Report, effort: Effort) -> None:
    """Rows per second through the store against COPY into the same indexed table, in turns."""
    report.head(
        "events in a transaction",
        "store, rows/s",
        "COPY, rows/s",
        "ratio",
        "the same with ids",
        "target",
    )
    with stand() as at:
        asyncio.run(_store(at, report, effort))


async def _store(at: Stand, report: Report, effort: Effort) -> None:
    settings = Settings(database_url=at.postgres.url(DATABASE))
    opened = await PostgresStore.open(settings)
    source = random.Random(1)

    def made(batch: int, total: int) -> list[list[Event]]:
        """Batches as the collector writes them, with new ids."""
        now = datetime.now(UTC)
        return [
            native.decode(client.native(source, batch), now, project="default").events
            for _ in range(total // batch)
        ]

    async def stored(batches: list[list[Event]]) -> None:
        for events in batches:
            await opened.write([Job(uuid.uuid4().hex, events)])

    async def copied(batches: list[list[Event]]) -> None:
        async with opened._pool.acquire() as connection:
            await connection.execute("set analytics.storing = 'on'")
            for events in batches:
                async with connection.transaction():
                    await rows.copy(connection, events)
            await connection.execute("reset analytics.storing")

    async def named(batches: list[list[Event]]) -> None:
        fresh = [
            [msgspec.structs.replace(event, named=True) for event in events] for events in batches
        ]
        await stored(fresh)

    ways: tuple[Callable[[list[list[Event]]], Any], ...] = (stored, copied, named)
    total = int(4000 * effort.seconds)
    for batch in (100, 1000, 5000):
        rates: list[list[float]] = [[], [], []]
        for turn in range(effort.rounds + 2):
            for place, way in enumerate(ways):
                batches = made(batch, max(batch, total))
                start_s = time.perf_counter()
                await way(batches)
                if turn:
                    rates[place].append(sum(map(len, batches)) / (time.perf_counter() - start_s))
        ratio, with_ids = (_ratio(rates[place], rates[1]) for place in (0, 2))
        report.row(
            f"{batch:,}",
            spread(rates[0]),
            spread(rates[1]),
            f"{ratio:.2f}",
            f"{with_ids:.2f}",
            met(min(ratio, with_ids), 0.4),
        )
    await opened.close()


def _peak(at: Stand, port: int, events: int, effort: Effort, taken: list[int]) -> float:
    """Requests per second until their events are stored and the queue is empty again."""
    start_s = time.perf_counter()
    result = load(port, events=events, seconds=effort.seconds, distinct=64 if events > 10 else 512)
    at.drained()
    taken.append(result["events"])
    return float(result["requests"]) / (time.perf_counter() - start_s)


def journey(report: Report, effort: Effort) -> None:
    """The whole way of an event: the peak rate, its CPU cost, and latencies at half that rate."""
    report.head(
        "events a request",
        "landed/s",
        *(
            f"{name}, µs of CPU an event"
            for name in ("collector", "processor", "PostgreSQL", "Valkey")
        ),
    )
    with stand() as at:
        roles = {name: at.start(name) for name in ("collector", "processor", "api", "realtime")}
        port, taken = roles["collector"].port, list[int]()
        with nothing_lost(at, taken):
            peaks = {}
            for events in (1, 100):
                taken.append(load(port, events=events, seconds=1)["events"])
                at.drained()
                pids = (
                    roles["collector"].pid,
                    roles["processor"].pid,
                    at.postgres.pid,
                    at.valkey.pid,
                )
                before, already = [cpu_seconds(pid) for pid in pids], sum(taken)
                rates = [_peak(at, port, events, effort, taken) for _ in range(effort.rounds)]
                new = sum(taken) - already
                peaks[events] = statistics.median(rates)
                costs = [
                    (cpu_seconds(pid) - used) / new * 1e6
                    for pid, used in zip(pids, before, strict=True)
                ]
                report.row(
                    str(events),
                    spread([rate * events for rate in rates]),
                    *(f"{cost:.1f}" for cost in costs),
                )
            report.head("at half the peak rate", "median", "p99", "target")
            for events, peak in peaks.items():
                background = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "bench.load",
                        str(port),
                        "--events",
                        str(events),
                        "--rate",
                        str(peak / 2),
                        "--seconds",
                        str(2 * effort.seconds + 4),
                    ],
                    stdout=subprocess.PIPE,
                    text=True,
                )
                time.sleep(1)
                answers, sockets = asyncio.run(_waits(roles, 20 * effort.rounds, effort, taken))
                out, _ = background.communicate()
                result = json.loads(out)
                taken.append(result["events"])
                what = "1 event a request" if events == 1 else f"{events} events a request"
                for name, waits, bar in (
                    (f"/collect, {what}", result["latency_s"], 0.1),
                    (f"acknowledged → answered, {what}", answers, 2.0),
                    (f"acknowledged → WebSocket, {what}", sockets, 1.0),
                ):
                    report.row(
                        name,
                        *milliseconds(waits),
                        below(percentile(waits, 0.99) * 1000, bar * 1000, "ms"),
                    )
    report.say(
        f"{sum(taken):,} events acknowledged, and all of them were stored. The books balanced."
    )


async def _waits(
    roles: dict[str, Role], events: int, effort: Effort, taken: list[int]
) -> tuple[list[float], list[float]]:
    """Seconds from acknowledgements to the first answers with the events, and to a WebSocket."""
    answered, shown = [], []
    end = time.perf_counter() + 2 * effort.seconds + 2
    async with connect(
        f"ws://127.0.0.1:{roles['realtime'].port}/realtime",
        additional_headers={"Authorization": f"Bearer {KEY}"},
    ) as socket:
        await socket.send('{"type": "subscribe", "id": "a", "channel": "events", "event": "probe"}')
        await socket.recv()
        for _ in range(events):
            if time.perf_counter() > end:
                break
            event_id = str(uuid.uuid4())
            body = json.dumps(
                {
                    "id": event_id,
                    "session_id": "probe",
                    "event_type": "probe",
                    "event_action": "probe",
                }
            ).encode()
            await asyncio.to_thread(_post, roles["collector"].port, body)
            taken.append(1)
            start_s = time.perf_counter()
            message = asyncio.create_task(_next_message(socket, start_s))
            while not await asyncio.to_thread(_stored, roles["api"].port, event_id):
                pass
            answered.append(time.perf_counter() - start_s)
            shown.append(await message)
    return answered, shown


async def _next_message(socket: ClientConnection, start_s: float) -> float:
    """Seconds from `start_s` until the socket gets a message."""
    await socket.recv()
    return time.perf_counter() - start_s


def _post(port: int, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/collect", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - always our own http://127.0.0.1


def _stored(port: int, event_id: str) -> bool:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/events/{event_id}", headers={"X-API-Key": KEY}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - always our own http://127.0.0.1
        return bool(json.load(answer)["data"]["status"] == "stored")


def fanout(report: Report, effort: Effort) -> None:
    """One event to a thousand WebSockets: from acknowledgement to the median and the last."""
    report.head("WebSockets", "events", "median socket", "last socket", "memory of realtime")
    with stand() as at:
        roles = {name: at.start(name) for name in ("collector", "processor", "realtime")}
        heard, last = asyncio.run(_fan(roles, effort))
        report.row(
            f"{effort.sockets:,}",
            str(len(last)),
            *(milliseconds(times)[0] for times in (heard, last)),
            f"{startup.memory_mb(roles['realtime'].pid):.0f} MB",
        )


async def _fan(roles: dict[str, Role], effort: Effort) -> tuple[list[float], list[float]]:
    url, headers = (
        f"ws://127.0.0.1:{roles['realtime'].port}/realtime",
        {"Authorization": f"Bearer {KEY}"},
    )
    sockets = []
    for _ in range(effort.sockets):
        socket = await connect(
            url, additional_headers=headers, compression=None, open_timeout=30, ping_interval=None
        )
        await socket.send('{"type": "subscribe", "id": "a", "channel": "events"}')
        await socket.recv()
        sockets.append(socket)
    heard, last = [], []
    for _ in range(5 * effort.rounds):
        body = json.dumps(
            {"session_id": "probe", "event_type": "probe", "event_action": "probe"}
        ).encode()
        await asyncio.to_thread(_post, roles["collector"].port, body)
        start_s = time.perf_counter()
        times = await asyncio.gather(*(_next_message(socket, start_s) for socket in sockets))
        heard.append(statistics.median(times))
        last.append(max(times))
    await asyncio.gather(*(socket.close() for socket in sockets))
    return heard, last


def memory(report: Report, effort: Effort) -> None:
    """Proportional set size of each role as a process, after its start and after a load."""
    report.head("role", "started", "after a load")
    with stand() as at:
        roles = [at.start(name) for name in ("collector", "processor", "api", "realtime")]
        time.sleep(2)
        before = [startup.memory_mb(role.pid) for role in roles]
        taken: list[int] = []
        with nothing_lost(at, taken):
            taken.append(load(roles[0].port, events=100, seconds=effort.seconds)["events"])
        for role, started in zip(roles, before, strict=True):
            report.row(role.name, f"{started:.0f} MB", f"{startup.memory_mb(role.pid):.0f} MB")


def whole(report: Report, effort: Effort) -> None:
    """`analytics run`: to the first accepted event, and its memory when idle."""
    again, idle = startup.starts(effort.starts)
    report.head("what", "median and spread", "target")
    report.row(
        "`analytics run` on an existing data folder, to the first accepted event",
        spread(again, ".1f") + " s",
        below(statistics.median(again), 5, "s"),
    )
    report.row(
        "idle memory, servers included (proportional set size)",
        spread(idle) + " MB",
        below(statistics.median(idle), 400, "MB"),
    )


NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  client_body_buffer_size 1m;
  upstream collectors {{ {servers} keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://collectors; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""


def scaling(report: Report, effort: Effort) -> None:
    """Two collectors and two processors behind nginx against one of each, in turns."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        report.say("nginx is not installed here, so replicas were not measured.")
        return
    report.head("events a request", "one of each, landed/s", "two of each, landed/s", "ratio")
    with stand() as at:
        taken: list[int] = []
        with nothing_lost(at, taken):
            for events in (1, 100):
                rates: dict[int, list[float]] = {1: [], 2: []}
                for _, count in itertools.product(range(effort.rounds), (1, 2)):
                    collectors = [at.start("collector") for _ in range(count)]
                    processors = [at.start("processor") for _ in range(count)]
                    folder, port = Path(at.folder) / "nginx", free_port()
                    folder.mkdir(exist_ok=True)
                    servers = " ".join(f"server 127.0.0.1:{role.port};" for role in collectors)
                    (folder / "nginx.conf").write_text(
                        NGINX.format(folder=folder, servers=servers, port=port)
                    )
                    proxy = Role("nginx", [nginx, "-c", str(folder / "nginx.conf")], port, {})
                    at.roles.append(proxy)
                    taken.append(load(port, events=events, seconds=1)["events"])
                    at.drained()
                    rates[count].append(_peak(at, port, events, effort, taken) * events)
                    at.stop(proxy, *collectors, *processors)
                report.row(
                    str(events),
                    spread(rates[1]),
                    spread(rates[2]),
                    f"{_ratio(rates[2], rates[1]):.2f}",
                )


SECTIONS: dict[str, Callable[[Report, Effort], None]] = {
    "collector": collector,
    "store": store,
    "journey": journey,
    "fanout": fanout,
    "memory": memory,
    "whole": whole,
    "scaling": scaling,
}
