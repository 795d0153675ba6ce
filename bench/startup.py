"""`analytics run` as a whole: start time, idle memory, latency to an answer and to a WebSocket.

    .venv/bin/python bench/startup.py [--rounds 5] [--events 50]

It needs no server: it starts the platform in a temporary folder, as a user would, and stops it.
The start ends with the first accepted event. Memory is the proportional set size (each process
counts its part of shared pages) of the process and all its children, 10 s after the last request.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from websockets.asyncio.client import connect

from analytics.embedded import free_port

IDLE_SECONDS = 10


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and all its descendants."""
    pids, total = [pid], 0
    while pids:
        pid = pids.pop()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(
            next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]
        )
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            pids += map(int, children.read_text().split())
    return total / 1024


class Run:
    """One `analytics run`, from its start to its first accepted event."""

    def __init__(self, folder: Path) -> None:
        self.ports = {role: free_port() for role in ("collector", "api", "realtime", "processor")}
        self.folder = folder
        variables = {f"{role.upper()}_PORT": str(port) for role, port in self.ports.items()}
        unset = ("REDIS_URL", "DATABASE_URL")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "analytics", "run"],
            env={**environment, **variables, "DATA_DIR": str(folder), "LOG_LEVEL": "warning"},
            stdout=subprocess.DEVNULL,
        )
        while not self.send(str(uuid.uuid4())):
            if self.process.poll() is not None:
                raise SystemExit("analytics run ended before it took an event")
            time.sleep(0.01)
        self.start_seconds = time.perf_counter() - began

    @property
    def key(self) -> str:
        return (self.folder / "key").read_text()

    def send(self, event_id: str) -> bool:
        """Whether an event was acknowledged."""
        body = json.dumps(
            {"id": event_id, "session_id": "s", "event_type": "engagement", "event_action": "click"}
        ).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['collector']}/collect",
            body,
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - always our own http://127.0.0.1
                return bool(answer.status == 202)
        except OSError:
            return False

    def stored(self, event_id: str) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['api']}/api/events/{event_id}",
            headers={"X-API-Key": self.key},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - always our own http://127.0.0.1
            return bool(json.load(answer)["data"]["status"] == "stored")

    def memory_mb(self) -> float:
        return memory_mb(self.process.pid)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)


@contextlib.contextmanager
def run(folder: Path) -> Iterator[Run]:
    running = Run(folder)
    try:
        yield running
    finally:
        running.stop()


def answered(running: Run, events: int) -> list[float]:
    """Seconds from an acknowledgement to the first answer that has the event."""
    seconds = []
    for _ in range(events):
        event_id = str(uuid.uuid4())
        running.send(event_id)
        began = time.perf_counter()
        while not running.stored(event_id):
            time.sleep(0.002)
        seconds.append(time.perf_counter() - began)
    return seconds


async def watched(running: Run, events: int) -> list[float]:
    """Seconds from an acknowledgement to the event on a WebSocket; 0 when the socket was first."""
    seconds = []
    headers = {"Authorization": f"Bearer {running.key}"}
    async with connect(
        f"ws://127.0.0.1:{running.ports['realtime']}/realtime", additional_headers=headers
    ) as socket:
        await socket.send('{"type": "subscribe", "id": "a", "channel": "events"}')
        await socket.recv()
        for _ in range(events):
            await asyncio.to_thread(running.send, str(uuid.uuid4()))
            began = time.perf_counter()
            await socket.recv()
            seconds.append(time.perf_counter() - began)
    return seconds


def starts(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each start on an existing data folder, and the idle memory after it (MB)."""
    folder = Path(tempfile.mkdtemp(prefix="analytics-bench-"))
    folder.chmod(0o711)
    again, memory = [], []
    try:
        with run(folder / "data"):
            pass
        for _ in range(rounds):
            with run(folder / "data") as running:
                again.append(running.start_seconds)
                time.sleep(IDLE_SECONDS)
                memory.append(running.memory_mb())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return again, memory


def row(name: str, values: list[float], unit: str, scale: float = 1.0) -> None:
    ordered = sorted(value * scale for value in values)
    worst = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    middle = statistics.median(ordered)
    print(f"| {name} | {middle:.1f} {unit} | {worst:.1f} {unit} | {len(ordered)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=50)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="analytics-bench-"))
    folder.chmod(0o711)
    try:
        with run(folder / "data") as first:
            fresh = first.start_seconds
        again, memory = [], []
        for _ in range(arguments.rounds):
            with run(folder / "data") as running:
                again.append(running.start_seconds)
                time.sleep(IDLE_SECONDS)
                memory.append(running.memory_mb())
        with run(folder / "data") as running:
            answers = answered(running, arguments.events)
            sockets = asyncio.run(watched(running, arguments.events))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("| what | median | p99 | n |\n|---|---|---|---|")
    row("start on a new data folder, to the first accepted event", [fresh], "s")
    row("start on an existing data folder", again, "s")
    row("idle memory, servers included", memory, "MB")
    row("acknowledged → answered by a query", answers, "ms", 1000)
    row("acknowledged → on a WebSocket", sockets, "ms", 1000)


if __name__ == "__main__":
    main()
