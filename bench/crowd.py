"""A crowd: events of believable shape, the same for the same seed, put straight into the tables
that the store would have filled.

People are skewed, most visits are those of a few. A visit is a session: it has a length, a rhythm
of its own within that of the day and the week, and pages and actions that follow each other. One
visit in twenty is nobody's by name, so that its session counts as a person.
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
from analytics.derived.deltas import Delta, Group, ValueIndex
from analytics.derived.instants import BEGINNING, day_of
from analytics.settings import Settings
from analytics.stores import migrate
from analytics.stores.layouts.layout import detect
from analytics.stores.locks import COMPACTION, alone
from analytics.stores.upkeep import compaction
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
"""Visits by hour; at weekends there are fewer."""

VISIT = 8
"""Events of a visit, on average; a third of the visits are one event."""

BLOCK = 10_000
"""Rows of one piece of a COPY."""

WORKERS = 2
PARTS = 10
"""Parts in which the last day's rollups lie, as compaction leaves an open one."""

INDEXES = """
SELECT relname AS name, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS definition FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = 'raw_events'::regclass AND NOT indisprimary
"""
"""Of a partitioned table they are shown as if its partitions were to have none."""


class Crowd(msgspec.Struct, frozen=True):
    """So many events of so many people in so many days, of which the last ends with the hour that
    `until` is in.
    """

    events: int
    people: int
    days: int
    until: datetime
    seed: int = 1

    @property
    def last(self) -> int:
        return day_of(self.until - timedelta(microseconds=1))

    @property
    def starts(self) -> range:
        """The days, by their first hours."""
        return range(self.last - 24 * (self.days - 1), self.last + 24, 24)

    def visits(self, start: int) -> int:
        weekday = datetime.fromtimestamp(start * 3600, UTC).weekday()
        return round(self.events / self.days / VISIT * (0.7 if weekday > 4 else 1.12))

    def strangers(self, start: int) -> int:
        """The number of a day's first visitor without a name; each day has a block of numbers."""
        return self.people + (start - self.starts[0]) // 24 * (
            self.events // self.days // VISIT // 8 + 100
        )


class Day:
    """The events of a day's visits, as lines of a COPY and as deltas; those of visits that go on
    after midnight are the next day's.
    """

    def __init__(self, crowd: Crowd, start: int, keys: tuple[str, ...]) -> None:
        self._crowd = crowd
        self._start = start
        self._dice = random.Random(f"{crowd.seed} {(start - crowd.starts[0]) // 24}")
        self._keys = keys
        self._words = ValueIndex()
        self.strangers: list[tuple[str, int]] = []
        self.groups: defaultdict[tuple[int, str, str], tuple[list[int], list[tuple[int, ...]]]] = (
            defaultdict(lambda: ([], []))
        )

    def lines(self) -> Iterator[str]:
        """Each event; `groups` and `strangers` are filled on the way."""
        crowd, dice, nobody = self._crowd, self._dice, self._crowd.strangers(self._start)
        end = crowd.until.timestamp()
        for visit, hour in enumerate(dice.choices(range(24), RHYTHM, k=crowd.visits(self._start))):
            person, session, user = (
                int(crowd.people * dice.random() ** 2.5),
                f"{self._start:x}-{visit:x}-{dice.getrandbits(48):012x}",
                "\\N",
            )
            if dice.random() < 0.05:
                number = nobody + len(self.strangers)
                self.strangers.append((session, number))
            else:
                number, user = person, f"user-{person}"
            values: dict[str, str | None] = {
                "$browser": BROWSERS[person % 4], "$os": SYSTEMS[person % 5], "$device": DEVICES[person % 2], "$country": COUNTRIES[person % 15],
                "$referrer": dice.choice(REFERRERS), "$utm_source": dice.choice(SOURCES),
            }  # fmt: skip
            common = (
                ", ".join(f'"{key}": "{value}"' for key, value in values.items() if value)
                + f', "plan": "{PLANS[person % 7 % 4]}"'
            )
            at = (self._start + hour + dice.random()) * 3600
            length = (
                1 if dice.random() < 0.35 else 2 + int(dice.expovariate(1 / (1.5 * VISIT - 1.6)))
            )
            for _ in range(length):
                type_, action = dice.choice(NAMES)
                page = PAGES[int(60 * dice.random() ** 3)]
                if at >= end:
                    break
                spent = f', "amount": {dice.randrange(100, 20000) / 100}' if action == "buy" else ""
                metadata = f'{{{common}, "$path": "{page}", "page": "{page}", "ms": {int(dice.lognormvariate(6, 0.7))}{spent}}}'
                who, rows = self.groups[int(at // 3600), type_, action]
                who.append(number)
                values["$path"] = values["page"] = page
                rows.append(tuple(self._words[values.get(key)] for key in self._keys))
                id_ = f"{int(at * 1000):012x}7{dice.getrandbits(12):03x}{0x8000 | dice.getrandbits(14):04x}{dice.getrandbits(48):012x}"
                when = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f}+00"
                yield f"default\t{id_}\t{session}\t{user}\t{type_}\t{action}\t{metadata}\t{when}\t{when}\n"
                at += dice.expovariate(1 / 45)

    def deltas(self, parts: int) -> Iterator[Delta]:
        """What `lines` has seen, in so many parts."""
        for part in range(parts):
            groups = [
                Group(
                    *name,
                    who[part::parts],
                    [list(column) for column in zip(*rows[part::parts], strict=True)],
                )
                for name, (who, rows) in self.groups.items()
                if len(who) > part
            ]
            yield Delta(self._keys, self._words.values_seen, groups)


async def load(url: str, crowd: Crowd) -> None:
    """Fill a new database: rows by COPY before their indexes are made, rollups as compaction would
    have made them of the same events' deltas.
    """
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
        "INSERT INTO people_last VALUES ('default', $1)", crowd.strangers(crowd.last + 24)
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
        while await compaction.merge_ended(connection):
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
            records=[("default", *stranger) for stranger in day.strangers],
            columns=("project", "actor", "number"),
        )
        for delta in day.deltas(PARTS if start == crowd.last else 1):
            await compaction.write(
                connection,
                "default",
                compaction.pack_all(gather([delta])),
                level=1 if start == crowd.last else REBUILT,
            )
    await connection.close()


async def _blocks(lines: Iterator[str]) -> AsyncIterator[bytes]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == BLOCK:
            yield "".join(block).encode()
            block = []
    yield "".join(block).encode()
