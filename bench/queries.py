"""What every question costs: events of a believable crowd are loaded, and each question is asked
again and again, cold and warm.

python -m bench.queries [--events 10000000] [--people 100000] [--days 7,30,90] [--zones
UTC,Europe/Berlin] [--rounds 21] [--only WORD] [--folder FOLDER] [--no-growth] [--only-kept]
[--write]

Whole answers, from the query string to JSON, without HTTP and without the cache of whole answers.
*Cold* is an api that has remembered nothing (PostgreSQL and the operating system may have the data
in memory), asked again where it says so until it has answered; p50 and p95 are of the questions
after that; what an answer costs that is kept comes last (`bench/kept.py`). The same is done with a
tenth of the events, for the growth. The folder keeps the server's files, so that the same data can
be asked by another version; without it they are made anew and thrown away. --write puts the tables
into docs/performance.md.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.derived.deltas import Dimensions
from analytics.embedded import Postgres, create_database
from analytics.errors import AnalyticsError, Unavailable
from analytics.events import Event
from analytics.projects import Key
from analytics.queries import QUESTIONS, Sources, Stream, answer
from analytics.queries.database.snapshot import open_engine, open_snapshot
from analytics.queue.reader import Horizon
from analytics.settings import Settings
from analytics.stores import migrate
from analytics.stores.upkeep.packer import pack_days
from analytics.stores.upkeep.verify import verify
from bench.crowd import Crowd, load
from bench.kept import kept, said
from bench.questions import ASKED, Asked

KEY = Key(id=1, prefix="ak_r_", project=None, scopes=frozenset({"query"}))

BAR, PRECOMPUTED_BAR = 500, 50
"""Milliseconds of a p95: of every question, and of those that rollups have."""

SECONDS = 4.0
"""After so many, a question is asked no more, though at least LEAST times."""
LEAST = 3

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
QUERIES, KEPT = "queries", "kept"
"""Where the tables go, and what is said of kept answers: between such markers."""


class StillQueue:
    """The queue at the seam: nothing waits in it."""

    async def horizon(self) -> Horizon:
        return Horizon(datetime.now(UTC), waiting=False)

    async def find(self, project: str, event_id: UUID) -> Event | None:
        return None


class Times(NamedTuple):
    """Of one question at one range in one zone: milliseconds, or why there are none; and what was
    read.
    """

    cold: float
    warm: list[float]
    source: str
    refused: str = ""

    @property
    def p50(self) -> float:
        return statistics.median(self.warm)

    @property
    def p95(self) -> float:
        return self.warm[int(0.95 * len(self.warm))]


async def ask(
    engine: AsyncEngine, asked: Asked, parameters: Sequence[tuple[str, str]]
) -> tuple[float, Any]:
    """Milliseconds, and the answer."""
    path, inside = asked.path, {}
    for question in QUESTIONS:
        start, brace, rest = question.path.partition("{id:path}")
        if path == question.path or (
            brace and path.startswith(start) and path.endswith(rest) and len(path) > len(start)
        ):
            inside = {"id": path[len(start) : len(path) - len(rest)]} if brace else {}
            break
    started = time.perf_counter()
    found = await answer(
        question, urlencode(parameters).encode(), inside, KEY, Sources(engine, StillQueue())
    )  # type: ignore[arg-type]
    if isinstance(found, Stream):
        async for _ in found.chunks:
            break
        return 1000 * (time.perf_counter() - started), {"meta": {"source": "raw"}}
    return 1000 * (time.perf_counter() - started), msgspec.json.decode(found.body)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    """An api that remembers nothing, with a connection."""
    engine = open_engine(Settings(database_url=url))
    async with open_snapshot(engine, StillQueue()) as read:  # type: ignore[arg-type]
        await read.rows(select(literal(1)))
    yield engine
    await engine.dispose()


def ranged(asked: Asked, days: int, zone: str, until: datetime) -> list[tuple[str, str]]:
    """The parameters that say of which range, where the question has one."""
    if asked.path == "/live" or asked.path.startswith("/events/"):
        return []
    return [("last", f"{days - 1}d"), ("to", until.isoformat()), ("tz", zone)]


async def timed(
    url: str, asked: Asked, days: int, zone: str, until: datetime, rounds: int
) -> Times:
    parameters = [*ranged(asked, days, zone, until), *asked.parameters]
    async with opened(url) as engine:
        began, warm = time.perf_counter(), list[float]()
        try:
            found = await insist(engine, asked, parameters)
            cold, began = 1000 * (time.perf_counter() - began), time.perf_counter()
            while len(warm) < rounds - 1 and (
                len(warm) < LEAST or time.perf_counter() - began < SECONDS
            ):
                ms, found = await ask(engine, asked, parameters)
                warm.append(ms)
        except AnalyticsError as error:
            return Times(0, [], "", str(error))
    return Times(cold, sorted(warm), found["meta"]["source"])


async def insist(engine: AsyncEngine, asked: Asked, parameters: Sequence[tuple[str, str]]) -> Any:
    """The answer, asked for again as long as that brings it nearer."""
    while True:
        try:
            return (await ask(engine, asked, parameters))[1]
        except Unavailable as error:
            if "goes on from there" not in str(error):
                raise


async def measure(
    url: str,
    arguments: argparse.Namespace,
    days: Sequence[int],
    zones: Sequence[str],
    until: datetime,
) -> dict[tuple[str, int, str], Times]:
    gc.freeze()  # as `server.run` does
    found = {}
    print(f"{'ms':38}{'days':>5} {'zone':16}{'cold':>9}{'p50':>9}{'p95':>9}")
    for name, asked in ASKED.items():
        for zone in zones:
            for range_ in days:
                if arguments.only not in name:
                    continue
                times = found[name, range_, zone] = await timed(
                    url, asked, range_, zone, until, arguments.rounds
                )
                if times.refused:
                    print(f"{name:38}{range_:5} {zone:16} {times.refused}", flush=True)
                else:
                    bar = PRECOMPUTED_BAR if asked.precomputed else BAR
                    note = ("" if times.p95 <= bar else " MISSES") + (
                        ""
                        if asked.precomputed == (times.source == "rollup")
                        else f" {times.source}"
                    )
                    print(
                        f"{name:38}{range_:5} {zone:16}{times.cold:9.1f}{times.p50:9.1f}{times.p95:9.1f}{note}",
                        flush=True,
                    )
    return found


SIZES = """
SELECT sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^raw_events') AS raw,
    sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^(rollup|people|packed)') AS rollups, (SELECT count(*) FROM raw_events) AS events
FROM pg_class WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace
"""


async def size(url: str) -> str:
    """What the disk holds, in words."""
    connection = await asyncpg.connect(url)
    raw, rollups, events = map(int, await connection.fetchrow(SIZES))
    await connection.close()
    return f"{events:,} events: raw rows with their indexes {raw / 1e9:.2f} GB, the precomputed layer {rollups / 1e9:.2f} GB, {rollups / raw:.0%} of that."


async def check(url: str, day: datetime) -> None:
    """Raise unless the rollups of a day say what its raw rows say: what is measured must be what
    the store would have left.
    """
    connection = await asyncpg.connect(url)
    async for verdict in verify(
        connection,
        "default",
        day,
        day + timedelta(hours=1),
        Dimensions(Settings().rollup_dimensions),
    ):
        assert verdict.complete, verdict
        assert not verdict.differences, verdict
    await connection.close()


def ensure(server: Postgres, crowd: Crowd) -> str:
    """The URL of a database with this crowd's events; they are made where they are not there yet."""
    name = f"bench{crowd.events}"
    fresh = server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'") != "1"  # noqa: S608 - a name of ours
    create_database(server, name)
    url = server.url(name)
    if fresh:
        began = time.perf_counter()
        asyncio.run(load(url, crowd))
        print(f"{crowd.events:,} events loaded in {time.perf_counter() - began:.0f} s", flush=True)
        asyncio.run(check(url, crowd.until - timedelta(days=crowd.days // 2)))
    asyncio.run(pack(url))
    return url


async def pack(url: str) -> None:
    """Pack the days that are over, as the upkeep of the processor does."""
    await asyncio.to_thread(migrate, url, Settings())
    connection = await asyncpg.connect(url)
    began = time.perf_counter()
    await pack_days(connection, seconds=float("inf"))
    days, events = await connection.fetchrow(
        "SELECT count(*), (SELECT count(*) FROM raw_events) FROM packed_days"
    )
    print(
        f"{days} days of {events:,} events packed in {time.perf_counter() - began:.1f} s",
        flush=True,
    )
    await connection.close()


def newest(url: str) -> datetime:
    """The end of the hour of the newest event."""

    async def read() -> datetime:
        connection = await asyncpg.connect(url)
        found: datetime = await connection.fetchval(
            "SELECT date_trunc('hour', max(timestamp)) + INTERVAL '1 hour' FROM raw_events"
        )
        await connection.close()
        return found

    return asyncio.run(read())


Found = dict[tuple[str, int, str], Times]


def table(found: Found, small: Found, days: Sequence[int], zones: Sequence[str]) -> Iterator[str]:
    """Rows of Markdown: a question, and at each range in the first zone cold, p50 and p95; the p95
    of the longest in the others; the growth.
    """
    longest = days[-1]
    heads = (
        [f"{range_} days: cold · p50 · p95" for range_ in days]
        + [f"{zone}, {longest} days: cold · p95" for zone in zones[1:]]
        + ["growth"]
    )
    yield f"| ms | {' | '.join(heads)} |"
    yield f"|---|{'---|' * len(heads)}"
    for name, asked in ASKED.items():
        if (name, longest, zones[0]) not in found:
            continue
        bar = PRECOMPUTED_BAR if asked.precomputed else BAR
        cells = []
        for range_, zone in [
            *((range_, zones[0]) for range_ in days),
            *((longest, zone) for zone in zones[1:]),
        ]:
            times = found[name, range_, zone]
            p95 = (
                f"**{times.p95:.0f}**"
                if not times.refused and times.p95 > bar
                else ""
                if times.refused
                else f"{times.p95:.0f}"
            )
            middle = f"{times.p50:.0f} · " if not times.refused and zone == zones[0] else ""
            cells.append(
                "**refused: too slow**" if times.refused else f"{times.cold:.0f} · {middle}{p95}"
            )
        before, after = small.get((name, longest, zones[0])), found[name, longest, zones[0]]
        growth = (
            ""
            if before is None or before.refused or after.refused
            else f"{after.p50 / before.p50:.1f}"
        )
        yield f"| {name}{' ¹' if asked.precomputed else ''} | {' | '.join(cells)} | {growth} |"


def write(marker: str, text: str) -> None:
    """Put it between its markers."""
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    page = PAGE.read_text()
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


@contextlib.contextmanager
def folder(name: str | None) -> Iterator[Path]:
    if name:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


def crowd_of(arguments: argparse.Namespace, days: Sequence[int]) -> Crowd:
    return Crowd(
        arguments.events,
        arguments.people,
        max(days),
        datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
    )


def report(server: Postgres, arguments: argparse.Namespace, days: Sequence[int]) -> str:
    """Load, ask, and say it in Markdown."""
    zones = arguments.zones.split(",")
    crowd = crowd_of(arguments, days)
    small = msgspec.structs.replace(crowd, events=crowd.events // 10)
    url, small_url = ensure(server, crowd), ensure(server, small) if arguments.growth else ""
    few = (
        asyncio.run(measure(small_url, arguments, days[-1:], zones[:1], newest(small_url)))
        if small_url
        else {}
    )
    found = asyncio.run(measure(url, arguments, days, zones, newest(url)))
    missed = sum(
        not times.refused and times.p95 > (PRECOMPUTED_BAR if ASKED[name].precomputed else BAR)
        for (name, *_), times in found.items()
    )
    refused = sum(bool(times.refused) for times in found.values())
    lines = [
        f"`make bench-queries` on {datetime.now(UTC):%Y-%m-%d}, load {os.getloadavg()[0]:.1f} at its end. {asyncio.run(size(url))}",
        f"The p95 is over the target ({BAR} ms; {PRECOMPUTED_BAR} ms for precomputed questions, "
        f"¹) in {missed} of {len(found)} cases. "
        f"Refused because they took too long: {refused}.",
        f"Growth is the p50 at {days[-1]} days, divided by the p50 with a tenth of the events.",
        "",
        *table(found, few, days, zones),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder")
    parser.add_argument("--days", default="7,30,90")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--zones", default="UTC,Europe/Berlin")
    parser.add_argument("--only", default="")
    parser.add_argument("--no-growth", dest="growth", action="store_false")
    parser.add_argument("--only-kept", action="store_true", help="ask for kept answers only")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    days = sorted(map(int, arguments.days.split(",")))
    text = ""
    with folder(arguments.folder) as path:
        path.mkdir(mode=0o711, exist_ok=True)
        server = Postgres(path / "postgres", password="bench", max_wal_size="8GB")
        server.start()
        try:
            if not arguments.only_kept:
                text = report(server, arguments, days)
            url = ensure(server, crowd_of(arguments, days))
            asked = {
                name: (one.path, [*ranged(one, days[-1], "UTC", newest(url)), *one.parameters])
                for name, one in ASKED.items()
                if arguments.only in name
            }
            sentence = said(asyncio.run(kept(url, path, KEY, asked)), days[-1])
        finally:
            server.stop()
    print(f"\n{text}\n\n{sentence}")
    if arguments.write:
        write(KEPT, sentence)
        if text:
            write(QUERIES, text)


if __name__ == "__main__":
    main()
