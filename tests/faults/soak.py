"""`make soak`: a steady mixed load through all roles for MINUTES; what should stay flat is measured
all the while, and the books balance at the end.
"""

import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.faults.load import Load, audit
from tests.faults.platform import API_KEY, Platform, Role, http_get
from tests.waiting import wait_for

EVERY_SECONDS = 2.0
QUESTIONS = (
    "/api/trends?last=2d",
    "/api/breakdown?by=event_type&last=2d",
    "/api/users?last=2d",
    "/api/events?last=2d",
    "/api/live",
)
MEGABYTE = 2**20


class Flat(msgspec.Struct, frozen=True):
    """What stays flat means: the median of the last quarter of the samples exceeds that of the
    second quarter by no more than `most` and `share` of it.

    The first quarter is not looked at: caches fill and pools open there.
    """

    name: str
    most: float
    share: float
    unit: str = ""

    def grew(self, samples: list[float]) -> tuple[float, float, bool]:
        """The two medians, and whether the second is too much more than the first. Raises
        ValueError for fewer than 8 samples.
        """
        if len(samples) < 8:
            raise ValueError(f"{self.name}: {len(samples)} samples tell nothing; run for longer")
        quarter = len(samples) // 4
        before, after = median(samples[quarter : 2 * quarter]), median(samples[-quarter:])
        return before, after, after > before * (1 + self.share) + self.most


LIMITS = {
    "memory": Flat("memory", 8.0, 0.15, " MB"),
    "descriptors": Flat("file descriptors", 8, 0.1),
    "connections": Flat("connections to PostgreSQL", 3, 0.0),
    "clients": Flat("connections to Redis", 8, 0.1),
    "partitions": Flat("partitions", 0, 0.0),
    "age": Flat("age of the oldest job", 2.0, 0.0, " s"),
}


def memory(pid: int) -> float:
    """Resident, in MB."""
    return (
        int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / MEGABYTE
    )


class Soak:
    """Samples by what was measured, of whom."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.roles = {
            # not forked from a process that has imported more: their memory is published
            name: platform.role(name, program=("-m", "analytics", "run", f"--role={name}"))
            for name in ("collector", "processor", "api", "realtime")
        }
        self.samples: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.asked = self.heard = 0
        self.failures: list[str] = []
        self._stop = threading.Event()

    def run(self, seconds: float) -> None:
        """Load all roles for this long, and sample."""
        others = [threading.Thread(target=work, daemon=True) for work in (self._ask, self._listen)]
        for other in others:
            other.start()
        with Load(self.roles["collector"], threads=2, pause=0.05) as load:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(EVERY_SECONDS)
                self.sample()
        self._stop.set()
        for other in others:
            other.join(60)
            assert not other.is_alive(), "a reader hangs"
        wait_for(self.platform.drained, "the queue to drain", 180)
        audit(self.platform, load)
        assert self.heard, "nothing was heard over the socket"

    def sample(self) -> None:
        for role in self.roles.values():
            self.samples["memory", role.name].append(memory(role.pid))
            self.samples["descriptors", role.name].append(len(os.listdir(f"/proc/{role.pid}/fd")))
        activity = (
            "select count(*) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        self.samples["connections", "all"].append(float(self.platform.sql(activity)))
        self.samples["partitions", "raw_events"].append(
            float(
                self.platform.sql(
                    "select count(*) from pg_inherits where inhparent = 'raw_events'::regclass"
                )
            )
        )
        self.samples["clients", "all"].append(
            float(self.platform.redis("CLIENT", "LIST").count(b"addr="))
        )
        self.samples["age", "queue"].append(self._age(self.roles["processor"]))

    def _age(self, role: Role) -> float:
        lines = http_get(f"{role.url}/metrics")[1].decode().splitlines()
        return next(
            float(line.split()[-1])
            for line in lines
            if line.startswith("analytics_queue_oldest_seconds")
        )

    def _ask(self) -> None:
        while not self._stop.wait(0.2):
            path = QUESTIONS[self.asked % len(QUESTIONS)]
            status, answer = http_get(f"{self.roles['api'].url}{path}")
            self.asked += 1
            if status != 200:
                self.failures.append(f"{path}: {status} {answer[:200]!r}")

    def _listen(self) -> None:
        """One reader that stays, as a page does; every hundred messages it goes and comes back."""
        headers = {"Authorization": f"Bearer {API_KEY}"}
        while not self._stop.is_set():
            with connect(
                f"ws://127.0.0.1:{self.roles['realtime'].port}/realtime", additional_headers=headers
            ) as socket:
                socket.send('{"type": "subscribe", "id": "a", "channel": "events"}')
                for _ in range(100):
                    try:
                        socket.recv(timeout=5)
                        self.heard += 1
                    except (TimeoutError, ConnectionClosed):
                        break

    def report(self) -> bool:
        """Print what was measured; whether all of it stayed flat."""
        held = not self.failures
        for (kind, who), samples in self.samples.items():
            limit = LIMITS[kind]
            before, after, grew = limit.grew(samples)
            change = f"{before:.1f}{limit.unit} → {after:.1f}{limit.unit}"
            print(f"{'GREW' if grew else 'flat'}  {limit.name}, {who}: {change}")
            held = held and not grew
        figures = self.platform.figures
        print(
            f"{figures.acknowledged:,} events acknowledged, "
            f"{figures.lost} lost, {figures.duplicated} duplicated"
        )
        print(f"{self.asked:,} questions asked, {self.heard:,} messages heard")
        for failure in self.failures[:5]:
            print(f"not answered: {failure}")
        return held


def main(minutes: float) -> int:
    with tempfile.TemporaryDirectory(prefix="analytics-soak-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Platform(folder, JOB_TIMEOUT="30") as platform:
            soak = Soak(platform)
            soak.run(minutes * 60)
            return 0 if soak.report() else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
