"""A crowd: events of a realistic shape, written straight into the tables of the store.

The same seed gives the same events. A few people make most of the sessions. A session has a
length, a time by the rhythm of day and week, and pages and actions that follow each other. One
session in twenty has no user_id, so that it counts as a person.
"""

import asyncio
import multiprocessing
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from analytics.derived.cells import gather
from analytics.derived.deltas import Delta, EventGroup, ValueIndex
from analytics.derived.instants import BEGINNING, day_of
from analytics.settings import Settings
from analytics.stores import migrate
from analytics.stores.layouts.layout import detect
from analytics.stores.locks import COMPACTION, alone
from analytics.stores.upkeep import merger, parts
from analytics.stores.upkeep.rebuild import REBUILT
from analytics.stores.writing.rows import COLUMNS

NAMES = (
    [("navigation", "view")] * 5
    + [("engagement", "click")] * 3
    + [("engagement", "scroll"), ("commerce", "add"), ("commerce", "buy"), ("account", "login")]
)
COUNTRIES = ["DE"] * 5 + ["US", "US", "FR", "GB", "NL", "AT", "CH", "PL", "ES", "IT"]
BROWSERS = ["Chrome", "Safari", "Firefox", "Edge"]
SYSTEMS = ["Windows", "macOS", "Linux", "iOS", "Android"]
DEVICES = ["desktop", "mobile"]
REFERRERS = [None, None, None, "google", "google", "news", "friends"]
SOURCES = [None, None, None, None, "mail", "ads"]
PLANS = ["free", "free", "free", "pro"]
PAGES = [f"/p/{page}" for page in range(61)]

RHYTHM = [2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 8, 8, 8, 8, 8, 8, 8, 9, 9, 8, 6, 4, 3]
"""Sessions by hour; at weekends there are fewer."""

SESSION_EVENTS = 8
"""The average; a third of the sessions are one event."""

BLOCK_ROWS = 10_000
"""Rows of one piece of a COPY."""

WORKERS = 2
PARTS = 10
"""Parts of the last day's rollups: what compaction leaves of a day that is not over."""

INDEXES = """
SELECT relname AS name, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS definition
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = 'raw_events'::regclass AND NOT indisprimary
"""
"""`ON ONLY` is how an index of a partitioned table is shown; it would leave the partitions out."""


class Crowd(msgspec.Struct, frozen=True):
    """How many events of how many people in how many days."""

    events: int
    people: int
    days: int
    until: datetime
    """The last day ends with this hour."""
    seed: int = 1

    @property
    def last(self) -> int:
        return day_of(self.until - timedelta(microseconds=1))

    @property
    def starts(self) -> range:
        """The days, by their first hours."""
        return range(self.last - 24 * (self.days - 1), self.last + 24, 24)

    def sessions(self, start: int) -> int:
        weekday = datetime.fromtimestamp(start * 3600, UTC).weekday()
        return round(self.events / self.days / SESSION_EVENTS * (0.7 if weekday > 4 else 1.12))

    def anonymous(self, start: int) -> int:
        """The number of a day's first visitor without user_id; each day has a block of numbers."""
        block = self.events // self.days // SESSION_EVENTS // 8 + 100
        return self.people + (start - self.starts[0]) // 24 * block


class Day:
    """The events of the sessions that start on a day, as lines of a COPY and as deltas."""

    def __init__(self, crowd: Crowd, start: int, keys: tuple[str, ...]) -> None:
        self._crowd = crowd
        self._start = start
        self._dice = random.Random(f"{crowd.seed} {(start - crowd.starts[0]) // 24}")
        self._keys = keys
        self._words = ValueIndex()
        self.anonymous: list[tuple[str, int]] = []
        """Each session without user_id, and its number as a person."""
        self.groups: defaultdict[tuple[int, str, str], tuple[list[int], list[tuple[int, ...]]]] = (
            defaultdict(lambda: ([], []))
        )

    def lines(self) -> Iterator[str]:
        """Each event as a line of a COPY; `groups` and `anonymous` are filled on the way."""
        crowd, dice, first = self._crowd, self._dice, self._crowd.anonymous(self._start)
        end = crowd.until.timestamp()
        hours = dice.choices(range(24), RHYTHM, k=crowd.sessions(self._start))
        for index, hour in enumerate(hours):
            person = int(crowd.people * dice.random() ** 2.5)
            session = f"{self._start:x}-{index:x}-{dice.getrandbits(48):012x}"
            if dice.random() < 0.05:
                number, user = first + len(self.anonymous), "\\N"
                self.anonymous.append((session, number))
            else:
                number, user = person, f"user-{person}"
            values: dict[str, str | None] = {
                "$browser": BROWSERS[person % 4],
                "$os": SYSTEMS[person % 5],
                "$device": DEVICES[person % 2],
                "$country": COUNTRIES[person % 15],
                "$referrer": dice.choice(REFERRERS),
                "$utm_source": dice.choice(SOURCES),
            }
            common = ", ".join(f'"{key}": "{value}"' for key, value in values.items() if value)
            common += f', "plan": "{PLANS[person % 7 % 4]}"'
            at = (self._start + hour + dice.random()) * 3600
            length = 1
            if dice.random() >= 0.35:
                length = 2 + int(dice.expovariate(1 / (1.5 * SESSION_EVENTS - 1.6)))
            for _ in range(length):
                type_, action = dice.choice(NAMES)
                page = PAGES[int(60 * dice.random() ** 3)]
                if at >= end:
                    break
                spent = f', "amount": {dice.randrange(100, 20000) / 100}' if action == "buy" else ""
                metadata = (
                    f'{{{common}, "$path": "{page}", "page": "{page}", '
                    f'"ms": {int(dice.lognormvariate(6, 0.7))}{spent}}}'
                )
                people, rows = self.groups[int(at // 3600), type_, action]
                people.append(number)
                values["$path"] = values["page"] = page
                rows.append(tuple(self._words[values.get(key)] for key in self._keys))
                id_ = (  # a UUID version 7
                    f"{int(at * 1000):012x}7{dice.getrandbits(12):03x}"
                    f"{0x8000 | dice.getrandbits(14):04x}{dice.getrandbits(48):012x}"
                )
                when = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f}+00"
                event = ("default", id_, session, user, type_, action, metadata, when, when)
                yield "\t".join(event) + "\n"
                at += dice.expovariate(1 / 45)

    def deltas(self, parts: int) -> Iterator[Delta]:
        """The deltas of the events that `lines` gave, in this many parts."""
        for part in range(parts):
            groups = [
                EventGroup(
                    *name,
                    people[part::parts],
                    [list(column) for column in zip(*rows[part::parts], strict=True)],
                )
                for name, (people, rows) in self.groups.items()
                if len(people) > part
            ]
            yield Delta(self._keys, self._words.values_seen, groups)


async def load(url: str, crowd: Crowd) -> None:
    """Fill a new database: rows by COPY, then their indexes; rollups as compaction makes them."""
    await asyncio.to_thread(migrate, url, Settings())
    connection = await asyncpg.connect(url)
    layout = await detect(connection)
    await layout.make_room(
        connection,
        [datetime.fromtimestamp(start * 3600, UTC) for start in [*crowd.starts, crowd.last + 24]],
        Settings(),
    )
    await connection.execute("UPDATE rollup_since SET start = $1", BEGINNING)
    indexes = await connection.fetch(INDEXES)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    await connection.execute("ALTER TABLE raw_events DROP CONSTRAINT raw_events_pkey")
    people = [("default", f"user-{number}", number) for number in range(crowd.people)]
    await connection.copy_records_to_table(
        "people", records=people, columns=("project", "actor", "number")
    )
    await connection.execute(
        "INSERT INTO people_last VALUES ('default', $1)", crowd.anonymous(crowd.last + 24)
    )
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        await asyncio.to_thread(
            pool.starmap,
            _fill,
            [(url, crowd, crowd.starts[worker::WORKERS]) for worker in range(WORKERS)],
        )
    await connection.execute("SET maintenance_work_mem = '512MB'")
    for statement in (
        "ALTER TABLE raw_events ADD PRIMARY KEY (project, id, timestamp)",
        *(index["definition"] for index in indexes),
    ):
        await connection.execute(statement, timeout=3600)
    async with alone(connection, COMPACTION):
        while await merger.merge_ended(connection):
            pass
    await connection.execute("VACUUM (ANALYZE)", timeout=3600)
    await connection.close()


def _fill(url: str, crowd: Crowd, starts: range) -> None:
    asyncio.run(_days(url, crowd, starts))


async def _days(url: str, crowd: Crowd, starts: range) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET analytics.storing = 'on'")
    for start in starts:
        day = Day(crowd, start, Settings().rollup_dimensions)
        await connection.copy_to_table(
            "raw_events", source=_blocks(day.lines()), columns=COLUMNS, timeout=3600
        )
        await connection.copy_records_to_table(
            "people",
            records=[("default", *visitor) for visitor in day.anonymous],
            columns=("project", "actor", "number"),
        )
        for delta in day.deltas(PARTS if start == crowd.last else 1):
            await parts.write(
                connection,
                "default",
                parts.pack_all(gather([delta])),
                level=1 if start == crowd.last else REBUILT,
            )
    await connection.close()


async def _blocks(lines: Iterator[str]) -> AsyncIterator[bytes]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == BLOCK_ROWS:
            yield "".join(block).encode()
            block = []
    yield "".join(block).encode()
