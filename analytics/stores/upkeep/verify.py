"""Verify: compare rollups with raw rows, hour by hour, and packed days with the rows of their day.

Each day is read in one snapshot, so events may be stored meanwhile.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from itertools import starmap

import asyncpg
import msgspec

from analytics.derived import deltas
from analytics.derived.cells import (
    ANY,
    Cell,
    Cells,
    RollupKey,
    Row,
    add_up,
    gather,
    too_many_names,
    unpack,
    without_names,
)
from analytics.derived.deltas import Dimensions
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN, day_of, instant
from analytics.derived.sparse import fill_in
from analytics.stores.upkeep import coverage, packer, recount

ROWS = f"""
SELECT part, span, start, key, event_type, event_action, counts, people FROM rollups
WHERE project = $1 AND (
    span = {HOUR_SPAN} AND start >= $2 AND start < $2 + {DAY_SPAN}
    OR span = {DAY_SPAN} AND start = $2
)
"""  # noqa: S608 - only our own constants
WAITING = "SELECT data FROM rollup_deltas WHERE project = $1"
DAYS = f"""
SELECT DISTINCT start FROM rollups
WHERE project = $1 AND span = {DAY_SPAN} AND start >= $2 AND start < $3
"""  # noqa: S608 - only our own constants

LAST_NUMBER = 2**32 - 1
"""Actors without a number get numbers from here downwards, which no actor has."""


class Difference(msgspec.Struct, frozen=True):
    """A value whose events or people differ: as stored in rollups, as counted from raw rows."""

    key: RollupKey
    value: str | None
    stored: str
    counted: str


class DayReport(msgspec.Struct, frozen=True):
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
) -> AsyncIterator[DayReport]:
    """A report of each day in a range that has raw rows or rollups, oldest first."""
    days = {day async for day in recount.days(connection, project, since, until)}
    rows = await connection.fetch(DAYS, project, day_of(since), day_of(until) + DAY_SPAN)
    days |= {row["start"] for row in rows}
    for day in sorted(days):
        yield await _day(connection, project, day, dimensions)


async def _day(
    connection: asyncpg.Connection, project: str, day: int, dimensions: Dimensions
) -> DayReport:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        strays = await coverage.strays(connection, project)
        if day < await coverage.since(connection, project) or day in strays:
            return DayReport(instant(day), False, [])
        unnumbered: dict[str, int] = {}

        def number(actor: str) -> int:
            return unnumbered.setdefault(actor, LAST_NUMBER - len(unnumbered))

        counted = await recount.count(connection, project, day, dimensions, number)
        stored = await _stored(connection, project, day)
        if day in await coverage.nameless(connection, project) or too_many_names(stored):
            counted, stored = without_names(counted), without_names(stored)
        wrong = await packer.find_difference(connection, project, day)
    differences = [*_differences(stored, counted)]
    if wrong:
        packed, true = wrong
        key = RollupKey(DAY_SPAN, day, ANY, ANY, ANY)
        difference = (f"{packed.rows} packed rows", f"{true.rows}, not the same")
        differences.append(Difference(key, None, *difference))
    return DayReport(instant(day), True, differences)


async def _stored(connection: asyncpg.Connection, project: str, day: int) -> Cells:
    """The sum of a day's rollups and waiting deltas."""
    rows = await connection.fetch(ROWS, project, day)
    waiting = [deltas.unpack(row["data"]) for row in await connection.fetch(WAITING, project)]

    def add() -> Cells:
        addends = defaultdict(list)
        parts: defaultdict[int, Cells] = defaultdict(dict)
        for part, *key, counts, people in rows:
            parts[part][RollupKey(*key)] = unpack(Row(counts, people))
        for each in (*starmap(fill_in, parts.items()), gather(waiting)):
            for key, cells in each.items():
                if day <= key.start < day + DAY_SPAN:
                    addends[key].append(cells)
        return {key: add_up(each) for key, each in addends.items()}

    return await asyncio.to_thread(add)


def _differences(stored: Cells, counted: Cells) -> Iterator[Difference]:
    """Where cells differ.

    A row of a dimension is compared only where both are complete. Questions can tell that one is
    not: it does not add up to the row without a dimension.
    """
    for key in sorted({*stored, *counted}):
        cells, true = stored.get(key, {}), counted.get(key, {})
        if key.key != ANY and not (_is_complete(stored, key) and _is_complete(counted, key)):
            continue
        for value in {**cells, **true}:
            if cells.get(value) != true.get(value):
                shown = _show(cells.get(value)), _show(true.get(value))
                yield Difference(key, value, *shown)


def _is_complete(cells: Cells, key: RollupKey) -> bool:
    """Whether a row of a dimension is there and counts all events."""
    return key in cells and _total(cells[key]) == _total(cells.get(key._replace(key=ANY), {}))


def _show(cell: Cell | None) -> str:
    return "nothing" if cell is None else repr(cell)


def _total(cells: Mapping[str | None, Cell]) -> int:
    return sum(cell.count for cell in cells.values())
