"""Verifying: rollups and packed days against raw rows, hour by hour, in one snapshot a day, so that
events may be stored meanwhile.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime

import asyncpg
import msgspec

from analytics.derived import deltas
from analytics.derived.cells import ANY, Cell, Cells, Place, Row, add_up, gather, unpack
from analytics.derived.deltas import Dimensions
from analytics.derived.instants import DAY_SPAN, day_of, instant
from analytics.stores.upkeep import counting, coverage, packing

ROWS = """
SELECT span, start, key, event_type, event_action, counts, people FROM rollups
WHERE project = $1 AND (span = 1 AND start >= $2 AND start < $2 + 24 OR span = 24 AND start = $2)
"""
WAITING = "SELECT data FROM rollup_deltas WHERE project = $1"
DAYS = "SELECT DISTINCT start FROM rollups WHERE project = $1 AND span = 24 AND start >= $2 AND start < $3"
STRAYS = "SELECT DISTINCT start FROM rollup_strays WHERE project = $1"

STRANGER = 2**32 - 1


class Difference(msgspec.Struct, frozen=True):
    """Where rollups and raw rows disagree: what each says of a value's events and people."""

    place: Place
    value: str | None
    kept: str
    counted: str


class Verdict(msgspec.Struct, frozen=True):
    """A day: whether rollups answer for it, and if so where they differ from its raw rows."""

    day: datetime
    complete: bool
    differences: list[Difference]


async def verify(
    connection: asyncpg.Connection,
    project: str,
    since: datetime,
    until: datetime,
    dimensions: Dimensions,
) -> AsyncIterator[Verdict]:
    """Each day in the range that has raw rows or rollups, oldest first."""
    found = {day async for day in counting.days(connection, project, since, until)}
    found |= {
        row["start"]
        for row in await connection.fetch(DAYS, project, day_of(since), day_of(until) + 24)
    }
    for day in sorted(found):
        yield await _day(connection, project, day, dimensions)


async def _day(
    connection: asyncpg.Connection, project: str, day: int, dimensions: Dimensions
) -> Verdict:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        strays = {row["start"] for row in await connection.fetch(STRAYS, project)}
        if day < await coverage.since(connection, project) or day in strays:
            return Verdict(instant(day), False, [])
        strangers: dict[str, int] = {}
        counted = await counting.count(
            connection,
            project,
            day,
            dimensions,
            lambda actor: strangers.setdefault(actor, STRANGER - len(strangers)),
        )
        kept = await _kept(connection, project, day)
        wrong = await packing.wrong(connection, project, day)
    packed = (
        [
            Difference(
                Place(DAY_SPAN, day, ANY, ANY, ANY),
                None,
                f"{wrong[0].rows} packed rows",
                f"{wrong[1].rows}, not the same",
            )
        ]
        if wrong
        else []
    )
    return Verdict(instant(day), True, [*_differences(kept, counted), *packed])


async def _kept(connection: asyncpg.Connection, project: str, day: int) -> Cells:
    """What rollups and waiting deltas add up to."""
    rows = await connection.fetch(ROWS, project, day)
    waiting = [deltas.unpack(row["data"]) for row in await connection.fetch(WAITING, project)]

    def add() -> Cells:
        addends = defaultdict(list)
        for row in rows:
            addends[Place(*row[:5])].append(unpack(Row(row["counts"], row["people"])))
        for place, cells in gather(waiting).items():
            if day <= place.start < day + DAY_SPAN:
                addends[place].append(cells)
        return {place: add_up(each) for place, each in addends.items()}

    return await asyncio.to_thread(add)


def _differences(kept: Cells, counted: Cells) -> Iterator[Difference]:
    """Of dimensions only what is complete is compared: of the rest, sums tell who reads it that it
    is not.
    """
    for place in sorted({*kept, *counted}):
        mine, true = kept.get(place, {}), counted.get(place, {})
        if place.key != ANY and not (
            _total(mine) == _total(kept.get(place._replace(key=ANY), {})) and true
        ):
            continue
        for value in {**mine, **true}:
            if mine.get(value) != true.get(value):
                yield Difference(place, value, _said(mine.get(value)), _said(true.get(value)))


def _said(cell: Cell | None) -> str:
    return "nothing" if cell is None else repr(cell)


def _total(cells: Mapping[str | None, Cell]) -> int:
    return sum(cell.count for cell in cells.values())
