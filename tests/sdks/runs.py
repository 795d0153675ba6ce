"""The runs of all libraries against one platform: as usual, refused, through an outage, and through
a storm of repeats.
"""

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from analytics.projects import create_key, create_project, open_engine
from analytics.redis import mirror
from tests.faults.platform import Platform, Role, http_get
from tests.sdks.gate import Gate
from tests.sdks.sdks import EVENTS, SDKS, Sdk
from tests.waiting import wait_for

OUTAGE_SECONDS = 5.0
FORGOTTEN = 2
STAGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "refused": {"spoiled": True},
    "outage": {"seconds": OUTAGE_SECONDS},
    "storm": {"forgotten": FORGOTTEN},
}
"""The trouble that a gate makes in each."""

AT_ONCE = 12
"""Runs side by side: most of their time is waiting."""

PAGES = 4
"""Of these, browsers; each takes a few hundred megabytes."""

STARTS = 2
"""Programs that start at the same time, until their first events are answered. Libraries wait for
an answer for a few seconds only, and all of them starting together keep a machine busy for longer.
"""

TRIES = 3
"""A run in which a library left before it heard the answer is made again. The machine was too slow
for it then, and what it did shows nothing of the platform.
"""

PATIENCE = 180.0
"""Seconds that a library has to bring its events, so that a slow machine is no failure."""

SILENCE = 40.0
"""Seconds without a request after which a library is taken to have given up; the longest waits
known are half a minute.
"""

MOST = EVENTS + 2
"""Requests of a library that sends nothing twice: some send their own events too, as that a page
was opened and left.
"""


class Run(msgspec.Struct):
    """What one library did in one stage."""

    events: list[tuple[str, str]]
    """Number and plan of each event that the api has."""
    heard: list[int]
    left: int
    """Answers that the library did not wait for."""
    log: str

    @property
    def numbers(self) -> list[str]:
        return sorted(number for number, _ in self.events)

    @property
    def complete(self) -> bool:
        return sorted(set(self.numbers)) == [str(n) for n in range(EVENTS)]

    @property
    def repeated(self) -> int:
        return len(self.events) - len(set(self.events))

    @property
    def refusals(self) -> int:
        return sum(400 <= status < 500 for status in self.heard)


class Seat(msgspec.Struct, frozen=True):
    """One library in one stage, for the first or a further time."""

    sdk: Sdk
    stage: str
    turn: int = 0

    @property
    def project(self) -> str:
        return f"{self.sdk.name}-{self.stage}-{self.turn}"

    @property
    def token(self) -> str:
        """As its own product's keys look."""
        return self.sdk.form.format(f"{self.project}.example")


async def register(platform: Platform) -> None:
    """A project and a key for each run that there may be."""
    engine = open_engine(platform.database_url)
    async with Redis.from_url(platform.valkey.url) as redis:
        for seat in (
            Seat(sdk, stage, turn) for sdk in SDKS for stage in STAGES for turn in range(TRIES)
        ):
            await create_project(engine, seat.project)
            await create_key(engine, scopes=["ingest"], project=seat.project, token=seat.token)
        await mirror(engine, redis)
    await engine.dispose()


class Runs:
    """All runs, by stage and library."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        asyncio.run(register(platform))
        self.collector, self.api = platform.role("collector"), platform.role("api")
        platform.role("processor")
        platform.redis("CONFIG", "SET", "maxmemory", "1gb")
        platform.environment["MAX_REDIS_MEMORY"] = "0.000001"
        self.closed = platform.role("collector", wait=False)
        wait_for(lambda: _probe(self.closed) == 503, "a collector that refuses")
        self.starts = threading.BoundedSemaphore(STARTS)
        self.pages = threading.BoundedSemaphore(PAGES)

    def all(self) -> dict[tuple[str, str], Run]:
        """Every library in every stage."""
        seats = [(stage, sdk) for stage in STAGES for sdk in SDKS]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            runs = threads.map(lambda seat: self._undisturbed(*seat), seats)
            return {(stage, sdk.name): run for (stage, sdk), run in zip(seats, runs, strict=True)}

    def _undisturbed(self, stage: str, sdk: Sdk) -> Run:
        """A run in which every answer was waited for, or the last that was tried."""
        for turn in range(TRIES):
            if not (run := self._run(Seat(sdk, stage, turn))).left:
                break
        return run

    def _run(self, seat: Seat) -> Run:
        """Run a library until it has brought its events or given up, and a storm has blown over."""
        log = self.platform.folder / f"{seat.project}.log"
        trouble = STAGES[seat.stage] | (
            {"closed": self.closed.port} if seat.stage == "outage" else {}
        )
        with (
            self.pages if seat.sdk.page else nullcontext(),
            Gate(self.collector.port, **trouble) as gate,
            self._started(seat, gate, log),
        ):
            self._wait(seat, gate)
        wait_for(self.platform.drained, "the queue to drain")
        return Run(self.events(seat), gate.heard, gate.left, _tail(log))

    @contextmanager
    def _started(self, seat: Seat, gate: Gate, log: Path) -> Iterator[None]:
        """The library's program, from its first answer on until the block ends."""
        with self.starts:
            program = seat.sdk.start(gate.url, seat.token, log)
            end = time.monotonic() + PATIENCE
            while program.poll() is None and not gate.heard and time.monotonic() < end:
                time.sleep(0.05)
        try:
            yield
        finally:
            _finish(program)

    def _wait(self, seat: Seat, gate: Gate) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not self._settled(seat, gate):
            time.sleep(1)

    def _settled(self, seat: Seat, gate: Gate) -> bool:
        if gate.silence > SILENCE or (seat.stage == "refused" and len(gate.heard) > MOST):
            return True
        return len(self.events(seat)) >= EVENTS and (
            seat.stage != "storm" or gate.heard[-1:] != [503]
        )

    def events(self, seat: Seat) -> list[tuple[str, str]]:
        """Number and plan of each event that the api has."""
        query = f"project={seat.project}&event=*:sdk_test&limit=1000&last=1d"
        url = f"{self.api.url}/api/events?{query}"
        # on a busy machine the answer may be late
        answer = wait_for(lambda: (got := http_get(url))[0] == 200 and got[1], "the api's answer")
        rows = msgspec.json.decode(answer)["data"]["rows"]
        sdk = seat.sdk
        return [
            (_whole(row["metadata"].get(sdk.number)), str(row["metadata"].get(sdk.plan)))
            for row in rows
        ]


def _probe(collector: Role) -> int:
    query = "session_id=probe&event_type=probe&event_action=probe"
    key = Seat(SDKS[0], "plain").token
    return http_get(f"{collector.url}/collect.gif?{query}&write_key={key}")[0]


def _whole(value: Any) -> str:
    """Forms, and a library that turns everything into text, know no numbers."""
    return str(int(float(value))) if value is not None else ""


def _finish(program: "subprocess.Popen[bytes]") -> None:
    """End a program as its host would: it may send what it holds."""
    assert program.stdin is not None
    program.stdin.close()
    try:
        program.wait(20)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]
