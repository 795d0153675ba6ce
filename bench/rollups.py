"""What rollups cost: events stored per second with and without them, and their disk space.

Both kinds of store take turns on one server.

python -m bench.rollups [--events 40000] [--batch 500] [--rounds 5] [--people 100000]
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec

from analytics.embedded import Postgres, create_database
from analytics.events import Event, Job
from analytics.settings import Settings
from analytics.stores import PostgresStore, migrate
from analytics.stores.writing.recorder import Recorded, Recorder
from bench.crowd import BROWSERS, COUNTRIES, DEVICES, NAMES, SYSTEMS

SIZES = """
SELECT sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^raw_events') AS raw,
    sum(pg_total_relation_size(oid)) FILTER (WHERE relname ~ '^(rollup|people)') AS rollups
FROM pg_class WHERE relkind IN ('r', 'm')
"""


class NoRecorder(Recorder):
    """Records nothing: the store without rollups."""

    async def record(
        self, connection: asyncpg.Connection, events: Sequence[Event], *, epoch: int = 0
    ) -> Recorded:
        return Recorded({}, {}, epoch, 0)


def events(n: int, people: int, dice: random.Random) -> list[Event]:
    """Events of the last two minutes: people skewed, three in ten known by name."""
    now = datetime.now(UTC)
    batch = []
    for _ in range(n):
        person = int(people * dice.random() ** 2.5)
        page = f"/p/{int(60 * dice.random() ** 3)}"
        metadata = {
            "$browser": BROWSERS[person % 4],
            "$os": SYSTEMS[person % 5],
            "$device": DEVICES[person % 2],
            "$country": COUNTRIES[person % len(COUNTRIES)],
            "$path": page,
            "page": page,
            "plan": ("free", "pro")[person % 2],
            "n": dice.randrange(1000),
        }
        at = now - timedelta(seconds=dice.random() * 120)
        user = f"user-{person}" if person % 10 < 3 else None
        batch.append(
            Event(
                "default",
                uuid.uuid4(),
                f"s{person}",
                user,
                *dice.choice(NAMES),
                msgspec.json.encode(metadata),
                at,
                now,
                named=True,
            )
        )
    return batch


async def rate_of(store: PostgresStore, batches: Sequence[Job], concurrency: int) -> float:
    """Events stored per second, with as many transactions at once as a processor has."""
    waiting = list(reversed(batches))

    async def work() -> None:
        while waiting:
            await store.write([waiting.pop()])

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return sum(len(job.events) for job in batches) / (time.perf_counter() - started)


async def measure(url: str, arguments: argparse.Namespace) -> None:
    settings = Settings(database_url=url)
    with_, without = await PostgresStore.open(settings), await PostgresStore.open(settings)
    without._recorder = NoRecorder(())
    dice = random.Random(1)
    rates: dict[str, list[float]] = {"with": [], "without": []}
    compaction = asyncio.create_task(with_.compactor.run())
    for turn in range(2 * arguments.rounds + 2):
        name, store = (("with", with_), ("without", without))[turn % 2]
        batch = events(arguments.events, arguments.people, dice)
        jobs = [
            Job(f"{uuid.uuid4().hex}.{arguments.batch}", batch[at : at + arguments.batch])
            for at in range(0, len(batch), arguments.batch)
        ]
        rate = await rate_of(store, jobs, settings.concurrency)
        if turn > 1:
            rates[name].append(rate)
            print(f"{name:8} {rate:9,.0f} events/s", flush=True)
    compaction.cancel()
    await asyncio.gather(compaction, return_exceptions=True)
    ratio = statistics.median(rates["with"]) / statistics.median(rates["without"])
    print(f"events/s with ÷ without, medians of {arguments.rounds}: {ratio:.2f}")
    while await with_.compact():
        pass
    raw, rollups = await with_._pool.fetchrow(SIZES)
    print(f"disk: raw {int(raw) / 1e6:.0f} MB (of both), rollups {int(rollups) / 1e6:.0f} MB")
    await with_.close()
    await without.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--people",
        type=int,
        default=100_000,
        help="few are soon known; of many, most are new, which costs more",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = Postgres(folder / "postgres", password="bench", max_wal_size="8GB")
        server.start()
        try:
            create_database(server, "bench")
            migrate(server.url("bench"), Settings())
            asyncio.run(measure(server.url("bench"), arguments))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
