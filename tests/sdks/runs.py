"""The runs of all libraries against one platform: as usual, refused, through an outage, and through
a storm of repeats.
"""

import asyncio
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from analytics.projects import create_key, create_project, open_engine
from analytics.redis import mirror
from tests.faults.platform import Platform, Role, http_get, wait_for
from tests.sdks.gate import Gate
from tests.sdks.sdks import EVENTS, SDKS, Sdk

STAGES = ("plain", "refused", "outage", "storm")
PATIENCE = 180.0
"""Seconds that a library has to bring its events, so that a slow machine is no failure."""

SILENCE = 40.0
"""Seconds without a request after which a library is taken to have given up; the longest waits
known are half a minute.
"""

OUTAGE_SECONDS = 5.0
FORGOTTEN = 2
MOST = EVENTS + 2
"""Requests of a library that sends nothing twice: some send their own events too, as that a page
was opened and left.
"""


class Run(msgspec.Struct):
    """What one library did in one stage."""

    found: list[tuple[str, str]]
    """Number and plan of each event that the api has."""
    heard: list[int]
    log: str

    @property
    def numbers(self) -> list[str]:
        return sorted(number for number, _ in self.found)

    @property
    def complete(self) -> bool:
        return sorted(set(self.numbers)) == [str(n) for n in range(EVENTS)]

    @property
    def repeated(self) -> int:
        return len(self.found) - len(set(self.found))

    @property
    def refusals(self) -> int:
        return sum(400 <= status < 500 for status in self.heard)


def token(sdk: Sdk, stage: str) -> str:
    return sdk.form.format(f"{sdk.name}-{stage}.example")


def project(sdk: Sdk, stage: str) -> str:
    return f"{sdk.name}-{stage}"


async def register(platform: Platform) -> None:
    """A project and a key for each library and stage: its own token, as its own product gave it."""
    engine = open_engine(platform.database_url)
    async with Redis.from_url(platform.valkey.url) as redis:
        for sdk in SDKS:
            for stage in STAGES:
                await create_project(engine, project(sdk, stage))
                await create_key(
                    engine, scopes=["ingest"], project=project(sdk, stage), token=token(sdk, stage)
                )
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
        self.results: dict[tuple[str, str], Run] = {}

    def all(self) -> dict[tuple[str, str], Run]:
        """Two stages at a time, for most of their time is waiting."""
        self._pair(("plain", {}), ("refused", {"spoiled": True}))
        self._pair(
            ("outage", {"closed": self.closed.port, "seconds": OUTAGE_SECONDS}),
            ("storm", {"forgotten": FORGOTTEN}),
        )
        return self.results

    def _pair(self, *stages: tuple[str, dict[str, Any]]) -> None:
        with ThreadPoolExecutor() as threads:
            for done in [
                threads.submit(self._stage, stage, **trouble) for stage, trouble in stages
            ]:
                done.result()

    def _stage(self, stage: str, **trouble: Any) -> None:
        """Run all libraries side by side, until each has brought its events or given up, and a
        storm has blown over.
        """
        with ExitStack() as stack:
            gates = [stack.enter_context(Gate(self.collector.port, **trouble)) for _ in SDKS]
            logs = [self.platform.folder / f"{sdk.name}-{stage}.log" for sdk in SDKS]
            programs = [
                sdk.start(gate.url, token(sdk, stage), log)
                for sdk, gate, log in zip(SDKS, gates, logs, strict=True)
            ]
            stack.callback(_kill, programs)
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and not all(
                self._settled(sdk, stage, gate) for sdk, gate in zip(SDKS, gates, strict=True)
            ):
                time.sleep(1)
            _finish(programs)
        wait_for(self.platform.drained, "the queue to drain")
        for sdk, gate, log in zip(SDKS, gates, logs, strict=True):
            self.results[stage, sdk.name] = Run(self.found(sdk, stage), gate.heard, _tail(log))

    def _settled(self, sdk: Sdk, stage: str, gate: Gate) -> bool:
        if gate.silence > SILENCE or (stage == "refused" and len(gate.heard) > MOST):
            return True
        return len(self.found(sdk, stage)) >= EVENTS and (
            stage != "storm" or gate.heard[-1:] != [503]
        )

    def found(self, sdk: Sdk, stage: str) -> list[tuple[str, str]]:
        query = f"project={project(sdk, stage)}&event=*:sdk_test&limit=1000&last=1d"
        url = f"{self.api.url}/api/events?{query}"
        # on a busy machine the answer may be late
        answer = wait_for(lambda: (got := http_get(url))[0] == 200 and got[1], "the api's answer")
        rows = msgspec.json.decode(answer)["data"]["rows"]
        return [
            (_whole(row["metadata"].get(sdk.number)), str(row["metadata"].get(sdk.plan)))
            for row in rows
        ]


def _probe(collector: Role) -> int:
    query = "session_id=probe&event_type=probe&event_action=probe"
    key = token(SDKS[0], "plain")
    return http_get(f"{collector.url}/collect.gif?{query}&write_key={key}")[0]


def _whole(value: Any) -> str:
    """Forms, and a library that turns everything into text, know no numbers."""
    return str(int(float(value))) if value is not None else ""


def _finish(programs: "list[subprocess.Popen[bytes]]") -> None:
    for program in programs:
        assert program.stdin is not None
        program.stdin.close()
    for program in programs:
        try:
            program.wait(20)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def _kill(programs: "list[subprocess.Popen[bytes]]") -> None:
    for program in programs:
        if program.poll() is None:
            program.kill()
        program.wait()
        if program.stdin is not None:
            program.stdin.close()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]
