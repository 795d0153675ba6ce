"""Who is alive: everybody with an event, by rollups, and by raw rows where these may not say."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
from pyroaring import BitMap

from analytics.derived import deltas
from analytics.derived.cells import Row, unpack
from analytics.derived.instants import BEGINNING, DAY_SPAN, day_of, instant
from analytics.stores.upkeep import coverage, recount

DAYS = f"""
SELECT start, counts, people FROM rollups
WHERE project = $1 AND span = {DAY_SPAN} AND start >= $2
    AND key = '' AND event_type = '' AND event_action = ''
"""  # noqa: S608 - only our own constants

COUNTED = """
SELECT date, value FROM daily_metrics WHERE project = $1
    AND metric_name = 'events' AND dimension_key = '' AND dimension_value = ''
"""

WAITING = "SELECT number, data FROM rollup_deltas WHERE project = $1 AND NOT number = ANY($2)"

SEEN = """
SELECT number FROM (
    SELECT DISTINCT coalesce(user_id, session_id) COLLATE "C" AS actor FROM raw_events
    WHERE project = $1 AND timestamp >= $2 AND timestamp < $3
) AS seen CROSS JOIN LATERAL (
    SELECT number FROM people WHERE project = $1 AND people.actor = seen.actor OFFSET 0
) AS known
"""


class Living:
    """The numbers of everybody in a project who has an event.

    Use it under the lock COMPACTION: what is stored meanwhile is in the deltas that come.
    """

    def __init__(self, connection: asyncpg.Connection, project: str) -> None:
        self._connection = connection
        self._project = project
        self._deltas: list[int] = []
        self._counts: defaultdict[int, int] = defaultdict(int)
        self.numbers = BitMap()

    async def read(self) -> None:
        """Read who is alive, in one snapshot."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            since = await coverage.since(self._connection, self._project)
            rows = await self._connection.fetch(DAYS, self._project, since)
            await asyncio.to_thread(self._add_days, rows)
            await self.catch_up()
            for day in {*await self._unsure(since), *await self._before(since)}:
                seen = await self._connection.fetch(
                    SEEN, self._project, instant(day), instant(day + DAY_SPAN)
                )
                self.numbers |= BitMap([number for (number,) in seen])

    async def catch_up(self) -> None:
        """Add the people of deltas that came since."""
        rows = await self._connection.fetch(WAITING, self._project, self._deltas)
        self._deltas += [row["number"] for row in rows]
        await asyncio.to_thread(self._add_deltas, [row["data"] for row in rows])

    def _add_days(self, rows: Sequence[asyncpg.Record]) -> None:
        for row in rows:
            for cell in unpack(Row(row["counts"], row["people"])).values():
                self.numbers |= cell.people
                self._counts[row["start"]] += cell.count

    def _add_deltas(self, packed: Sequence[bytes]) -> None:
        for delta in map(deltas.unpack, packed):
            for group in delta.groups:
                self.numbers |= BitMap(group.people)
                self._counts[group.hour - group.hour % DAY_SPAN] += len(group.people)

    async def _unsure(self, since: int) -> set[int]:
        """Days whose rollups may not have all people, by their first hours."""
        days = await coverage.strays(self._connection, self._project)
        for date, value in await self._connection.fetch(COUNTED, self._project):
            day = day_of(datetime.combine(date, datetime.min.time(), UTC))
            if day >= since and self._counts[day] != value:
                days.add(day)
        return days

    async def _before(self, since: int) -> set[int]:
        """Days with raw rows before those that rollups cover."""
        days: set[int] = set()
        while since > BEGINNING:
            day = await recount.last_day(self._connection, self._project, instant(since))
            if day is None:
                break
            days.add(day)
            since = day
        return days
