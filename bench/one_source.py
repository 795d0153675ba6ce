"""Funnels, paths and sessions of raw rows: by SQL, and by columns that are made for one question.

python -m bench.one_source [--events 1000000] [--people 100000] [--rounds 6] [--by-day]

It is the measurement of docs/decisions/0015-one-source.md. *SQL* answers today where most of a
range is not packed. *Columns* are made of the same raw rows for each answer: one statement joins
them with the numbers of their actors and reads them as records, these are packed, and nothing is
kept. With --by-day, columns come from the platform's own code, which reads each day by a statement.

An answer is timed from the query string to JSON, without HTTP and the cache of answers. The ways
take turns: SQL, columns, columns, SQL. All answers must be equal, and the statements of each must
show that it came the way that is timed.
"""

import argparse
import asyncio
import gc
import itertools
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import asyncpg
import numpy as np
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.derived.arrays import runs
from analytics.derived.instants import DAY_SPAN, DAY_US, POSTGRES_EPOCH_US
from analytics.derived.packed_day import RECORD, NamedRecords, pack
from analytics.embedded import Postgres
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Condition
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import pieces
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import NAME_FIELDS, Columns
from analytics.stores.upkeep.packer import END_OF_TIME
from bench.queries import ask, crowd_of, ensure, folder, newest, opened
from bench.questions import CASES, Case

DAYS = 90

NAMES = (
    "funnel: three frequent steps",
    "funnel: three rare steps",
    "paths",
    "paths of sessions",
    "sessions",
    "trends: sessions",
)

RANGES = {
    "24 hours": timedelta(hours=24),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
}

SQL, COLUMNS = "SQL", "columns"
TURNS = (SQL, COLUMNS, COLUMNS, SQL)


async def uncover(url: str) -> None:
    """Let rollups cover no day, as before a rebuild: no packed day is read then."""
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE rollup_since SET start = $1", END_OF_TIME)
    await connection.close()


async def load(
    query: FilteredQuery,
    snapshot: Snapshot,
    by: Field | None = None,
    only: Sequence[Condition] = (),
    *,
    sessions: bool = False,
) -> Columns:
    """In place of `packed_days.load`: columns of raw rows, read by one statement."""
    key = None if by is not None and by.column in NAME_FIELDS else by
    statement = packed_days.records(query.project, [*query.rows(), *only], key)
    rows = await snapshot.rows(statement, linked=False)
    snapshot.sources.add("raw")
    return await asyncio.to_thread(packed, query, snapshot, rows)


def packed(query: FilteredQuery, snapshot: Snapshot, rows: Iterable[Any]) -> Columns:
    """The columns of the rows of each name, which may be of any day."""
    days: defaultdict[int, list[NamedRecords]] = defaultdict(list)
    for row in rows:
        records = np.frombuffer(row.records or b"", RECORD)
        assert len(records) == row.n, "an actor has no number"
        day = ((records["at"] + POSTGRES_EPOCH_US) // DAY_US).astype(np.uint16)
        order = np.argsort(day, kind="stable")
        firsts, name = runs(day[order]), (row.event_type, row.event_action, row.key)
        for first, of_day in zip(firsts, np.split(records[order], firsts[1:]), strict=True):
            group = NamedRecords(name, len(of_day), of_day.tobytes())
            days[int(day[order[first]])].append(group)
    every = [pack(day * DAY_SPAN, groups) for day, groups in sorted(days.items())]
    return Columns(every, query.start, query.end, snapshot)


def taking(way: str, *, by_day: bool) -> AbstractContextManager[object]:
    """While this lasts, answers come this way."""
    if way == SQL:
        return nullcontext()
    if by_day:  # all of a range may come from raw rows, not only a quarter of it
        return patch.object(pieces, "MAX_RAW_SHARE", 1)
    return patch.object(packed_days, "load", load)


def reads(statements: Iterable[str]) -> set[str]:
    """What statements read events from: packed days, or raw rows by SQL or for columns."""
    sources = set()
    for statement in statements:
        if "packed_days" in statement:
            sources.add("packed days")
        elif "raw_events" in statement:
            sources.add(COLUMNS if "int4send" in statement else SQL)
    return sources


async def timed(
    engine: AsyncEngine, case: Case, since: datetime, until: datetime, rounds: int, *, by_day: bool
) -> dict[str, list[float]]:
    """The milliseconds of each way's answers. Raises AssertionError where these are not right."""
    parameters = [("from", since.isoformat()), ("to", until.isoformat()), *case.parameters]
    times: dict[str, list[float]] = {SQL: [], COLUMNS: []}
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    async def answer(way: str) -> Any:
        statements.clear()
        with taking(way, by_day=by_day):
            milliseconds, body = await ask(engine, case, parameters)
        assert reads(statements) == {way}, f"{way} has read {reads(statements)}"
        assert body["meta"]["source"] == "raw", body["meta"]
        times[way].append(milliseconds)
        return body["data"]

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    expected = await answer(SQL)
    for way in [COLUMNS, *TURNS * rounds]:
        assert await answer(way) == expected, f"{way} gives another answer to {parameters}"
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    return {way: each[1:] for way, each in times.items()}


async def measure(url: str, until: datetime, rounds: int, *, by_day: bool) -> None:
    """Print a row of Markdown for each range and question."""
    gc.freeze()  # as `server.run` does
    await uncover(url)
    print("| question | range | SQL, ms | columns, ms | columns / SQL |\n|---|---|---|---|---|")
    async with opened(url) as engine:
        for (range_, length), name in itertools.product(RANGES.items(), NAMES):
            since = until - length
            times = await timed(engine, CASES[name], since, until, rounds, by_day=by_day)
            sql, columns = (statistics.median(times[way]) for way in (SQL, COLUMNS))
            cells = name, range_, f"{sql:.0f}", f"{columns:.0f}", f"{columns / sql:.2f}"
            print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=6, help="of two answers of each way")
    parser.add_argument("--by-day", action="store_true", help="columns by a statement a day")
    arguments = parser.parse_args()
    with folder(None) as path:
        server = Postgres(path / "postgres", password="bench", max_wal_size="8GB")
        server.start()
        try:
            url = ensure(server, crowd_of(arguments, [DAYS]))
            print(f"load {os.getloadavg()[0]:.1f} before")
            by_day, rounds = arguments.by_day, arguments.rounds
            asyncio.run(measure(url, newest(url), rounds, by_day=by_day))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
