"""The latency of every question on realistic events, cold and warm.

python -m bench.queries [--events 10000000] [--people 100000] [--days 7,30,90]
    [--zones UTC,Europe/Berlin] [--rounds 21] [--only WORD] [--folder FOLDER] [--no-growth]
    [--only-kept] [--write]

It measures whole answers, from the query string to JSON, without HTTP and without the cache of
answers. *Cold* is an api that has nothing in memory (PostgreSQL and the operating system may have
the data); it is asked again for as long as it says that a retry continues. p50 and p95 are of the
queries after that. Cached answers come last (`bench/cached.py`). A tenth of the events is measured
too, for the growth. FOLDER keeps the server's files, so that another version can be measured on
the same data; without it they are made and thrown away. --write puts the tables into
docs/performance.md.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import asyncpg
import msgspec
from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.derived.deltas import Dimensions
from analytics.embedded import Postgres, create_database
from analytics.errors import AnalyticsError, Unavailable
from analytics.events import Event, IdSearch
from analytics.projects import ApiKey
from analytics.queries import QUESTIONS, Sources, StreamedFile, answer
from analytics.queries.database.snapshot import open_engine, open_snapshot
from analytics.queue.reader import Horizon
from analytics.settings import Settings
from analytics.stores import migrate
from analytics.stores.upkeep.packer import pack_days
from analytics.stores.upkeep.verify import verify
from bench.cached import measure_cached, sentence_of
from bench.crowd import Crowd, load
from bench.questions import CASES, Case

KEY = ApiKey(id=1, prefix="ak_r_", project=None, scopes=frozenset({"query"}))

BAR, PRECOMPUTED_BAR = 500, 50
"""The targets for a p95, in milliseconds: every question, and questions that rollups answer."""

MAX_SECONDS = 4.0
"""A query is repeated for this long, and at least MIN_ROUNDS times."""
MIN_ROUNDS = 3

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
QUERIES, KEPT = "queries", "kept"
"""The markers in PAGE around the tables, and around the sentence on cached answers."""


class EmptyQueue:
    """A queue in which nothing waits, for `Sources`."""

    async def horizon(self, project: str | None = None) -> Horizon:
        return Horizon(datetime.now(UTC), waiting=False)

    async def find(self, search: IdSearch, most: int) -> list[Event]:
        return []


class Times(NamedTuple):
    """The result of one query over one range in one time zone, in milliseconds."""

    cold: float
    warm: list[float]
    source: str
    """What was read: "rollup" or "raw"."""
    refused: str = ""
    """Why there is no answer."""

    @property
    def p50(self) -> float:
        return statistics.median(self.warm)

    @property
    def p95(self) -> float:
        return self.warm[int(0.95 * len(self.warm))]


async def ask(
    engine: AsyncEngine, case: Case, parameters: Sequence[tuple[str, str]]
) -> tuple[float, Any]:
    """The milliseconds of one query, and its answer."""
    path, inside = case.path, {}
    for question in QUESTIONS:
        start, brace, rest = question.path.partition("{id:path}")
        if path == question.path or (
            brace and path.startswith(start) and path.endswith(rest) and len(path) > len(start)
        ):
            inside = {"id": path[len(start) : len(path) - len(rest)]} if brace else {}
            break
    sources = Sources(engine, EmptyQueue())  # type: ignore[arg-type]
    start_s = time.perf_counter()
    reply = await answer(question, urlencode(parameters).encode(), inside, KEY, sources)
    if isinstance(reply, StreamedFile):
        async for _ in reply.chunks:
            break
        return 1000 * (time.perf_counter() - start_s), {"meta": {"source": "raw"}}
    return 1000 * (time.perf_counter() - start_s), msgspec.json.decode(reply.body)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    """An api with a connection and nothing in memory."""
    engine = open_engine(Settings(database_url=url))
    async with open_snapshot(engine, EmptyQueue()) as read:  # type: ignore[arg-type]
        await read.rows(select(literal(1)))
    yield engine
    await engine.dispose()


def range_of(case: Case, days: int, zone: str, until: datetime) -> list[tuple[str, str]]:
    """The parameters for a range of days; none for a question without a range."""
    if case.path == "/live" or case.path.startswith("/events/"):
        return []
    return [("last", f"{days - 1}d"), ("to", until.isoformat()), ("tz", zone)]


async def timed(url: str, case: Case, days: int, zone: str, until: datetime, rounds: int) -> Times:
    parameters = [*range_of(case, days, zone, until), *case.parameters]
    async with opened(url) as engine:
        start_s, warm = time.perf_counter(), list[float]()
        try:
            body = await insist(engine, case, parameters)
            cold, start_s = 1000 * (time.perf_counter() - start_s), time.perf_counter()
            while len(warm) < rounds - 1 and (
                len(warm) < MIN_ROUNDS or time.perf_counter() - start_s < MAX_SECONDS
            ):
                milliseconds, body = await ask(engine, case, parameters)
                warm.append(milliseconds)
        except AnalyticsError as error:
            return Times(0, [], "", str(error))
    return Times(cold, sorted(warm), body["meta"]["source"])


async def insist(engine: AsyncEngine, case: Case, parameters: Sequence[tuple[str, str]]) -> Any:
    """The answer; repeats the query for as long as the api says that a retry continues."""
    while True:
        try:
            return (await ask(engine, case, parameters))[1]
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
    """The times of all cases in all ranges and zones; printed as they come."""
    gc.freeze()  # as `server.run` does
    results = {}
    print(f"{'ms':38}{'days':>5} {'zone':16}{'cold':>9}{'p50':>9}{'p95':>9}")
    cases = [(name, case) for name, case in CASES.items() if arguments.only in name]
    for (name, case), zone, range_ in itertools.product(cases, zones, days):
        times = await timed(url, case, range_, zone, until, arguments.rounds)
        results[name, range_, zone] = times
        print(f"{name:38}{range_:5} {zone:16}{_printed(case, times)}", flush=True)
    return results


def _printed(case: Case, times: Times) -> str:
    if times.refused:
        return f" {times.refused}"
    missed = times.p95 > (PRECOMPUTED_BAR if case.precomputed else BAR)
    unexpected = case.precomputed != (times.source == "rollup")
    numbers = f"{times.cold:9.1f}{times.p50:9.1f}{times.p95:9.1f}"
    return numbers + " MISSES" * missed + f" {times.source}" * unexpected


SIZES = """
SELECT sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^raw_events') AS raw,
    sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^(rollup|people|packed)') AS rollups,
    (SELECT count(*) FROM raw_events) AS events
FROM pg_class WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace
"""


async def size(url: str) -> str:
    """A sentence on the disk space."""
    connection = await asyncpg.connect(url)
    raw, rollups, events = map(int, await connection.fetchrow(SIZES))
    await connection.close()
    return (
        f"{events:,} events: raw rows with their indexes {raw / 1e9:.2f} GB, "
        f"the precomputed layer {rollups / 1e9:.2f} GB, {rollups / raw:.0%} of that."
    )


async def check(url: str, day: datetime) -> None:
    """Raise AssertionError unless the rollups of a day equal its raw rows, as in a real store."""
    connection = await asyncpg.connect(url)
    dimensions = Dimensions(Settings().rollup_dimensions)
    async for result in verify(connection, "default", day, day + timedelta(hours=1), dimensions):
        assert result.complete, result
        assert not result.differences, result
    await connection.close()


def ensure(server: Postgres, crowd: Crowd) -> str:
    """The URL of a database with the events of this crowd, which are loaded if they are missing."""
    name = f"bench{crowd.events}"
    fresh = server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'") != "1"  # noqa: S608 - a name of ours
    create_database(server, name)
    url = server.url(name)
    if fresh:
        start_s = time.perf_counter()
        asyncio.run(load(url, crowd))
        seconds = time.perf_counter() - start_s
        print(f"{crowd.events:,} events loaded in {seconds:.0f} s", flush=True)
        asyncio.run(check(url, crowd.until - timedelta(days=crowd.days // 2)))
    asyncio.run(pack(url))
    return url


async def pack(url: str) -> None:
    """Pack the days that are over, as the upkeep of the processor does."""
    await asyncio.to_thread(migrate, url, Settings())
    connection = await asyncpg.connect(url)
    start_s = time.perf_counter()
    await pack_days(connection, seconds=float("inf"))
    seconds = time.perf_counter() - start_s
    days, events = await connection.fetchrow(
        "SELECT count(*), (SELECT count(*) FROM raw_events) FROM packed_days"
    )
    print(f"{days} days of {events:,} events packed in {seconds:.1f} s", flush=True)
    await connection.close()


def newest(url: str) -> datetime:
    """The end of the hour of the newest event."""

    async def read() -> datetime:
        connection = await asyncpg.connect(url)
        end: datetime = await connection.fetchval(
            "SELECT date_trunc('hour', max(timestamp)) + INTERVAL '1 hour' FROM raw_events"
        )
        await connection.close()
        return end

    return asyncio.run(read())


Results = dict[tuple[str, int, str], Times]
"""By name of the case, days and time zone."""


def table(
    results: Results, small: Results, days: Sequence[int], zones: Sequence[str]
) -> Iterator[str]:
    """Rows of Markdown, one for each case.

    Cold, p50 and p95 of each range in the first zone; cold and p95 of the longest range in the
    other zones; the growth.
    """
    longest = days[-1]
    heads = (
        [f"{range_} days: cold · p50 · p95" for range_ in days]
        + [f"{zone}, {longest} days: cold · p95" for zone in zones[1:]]
        + ["growth"]
    )
    yield f"| ms | {' | '.join(heads)} |"
    yield f"|---|{'---|' * len(heads)}"
    columns = [*((range_, zones[0]) for range_ in days), *((longest, zone) for zone in zones[1:])]
    for name, case in CASES.items():
        if (name, longest, zones[0]) not in results:
            continue
        bar = PRECOMPUTED_BAR if case.precomputed else BAR
        cells = []
        for range_, zone in columns:
            times = results[name, range_, zone]
            if times.refused:
                cells.append("**refused: too slow**")
                continue
            p50 = f"{times.p50:.0f} · " if zone == zones[0] else ""
            p95 = f"**{times.p95:.0f}**" if times.p95 > bar else f"{times.p95:.0f}"
            cells.append(f"{times.cold:.0f} · {p50}{p95}")
        before, after = small.get((name, longest, zones[0])), results[name, longest, zones[0]]
        growth = ""
        if before is not None and not before.refused and not after.refused:
            growth = f"{after.p50 / before.p50:.1f}"
        yield f"| {name}{' ¹' if case.precomputed else ''} | {' | '.join(cells)} | {growth} |"


def write(marker: str, text: str) -> None:
    """Put a text into PAGE, between its markers."""
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
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as temporary:
        Path(temporary).chmod(0o711)
        yield Path(temporary)


def crowd_of(arguments: argparse.Namespace, days: Sequence[int]) -> Crowd:
    return Crowd(
        arguments.events,
        arguments.people,
        max(days),
        datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
    )


def report(server: Postgres, arguments: argparse.Namespace, days: Sequence[int]) -> str:
    """Load events, measure all cases, and give the results in Markdown."""
    zones = arguments.zones.split(",")
    crowd = crowd_of(arguments, days)
    small = msgspec.structs.replace(crowd, events=crowd.events // 10)
    url, small_url = ensure(server, crowd), ensure(server, small) if arguments.growth else ""
    few = (
        asyncio.run(measure(small_url, arguments, days[-1:], zones[:1], newest(small_url)))
        if small_url
        else {}
    )
    results = asyncio.run(measure(url, arguments, days, zones, newest(url)))
    missed = sum(
        not times.refused and times.p95 > (PRECOMPUTED_BAR if CASES[name].precomputed else BAR)
        for (name, *_), times in results.items()
    )
    refused = sum(bool(times.refused) for times in results.values())
    lines = [
        f"`make bench-queries` on {datetime.now(UTC):%Y-%m-%d}, "
        f"load {os.getloadavg()[0]:.1f} at its end. {asyncio.run(size(url))}",
        f"The p95 is over the target ({BAR} ms; {PRECOMPUTED_BAR} ms for precomputed questions, "
        f"¹) in {missed} of {len(results)} cases. "
        f"Refused because they took too long: {refused}.",
        f"Growth is the p50 at {days[-1]} days, divided by the p50 with a tenth of the events.",
        "",
        *table(results, few, days, zones),
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
    parser.add_argument("--only-kept", action="store_true", help="ask for cached answers only")
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
            until = newest(url)
            queries = {
                name: (case.path, [*range_of(case, days[-1], "UTC", until), *case.parameters])
                for name, case in CASES.items()
                if arguments.only in name
            }
            cached = asyncio.run(measure_cached(url, path, KEY, queries))
            sentence = sentence_of(cached, days[-1])
        finally:
            server.stop()
    print(f"\n{text}\n\n{sentence}")
    if arguments.write:
        write(KEPT, sentence)
        if text:
            write(QUERIES, text)


if __name__ == "__main__":
    main()
