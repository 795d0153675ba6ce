"""Chooses where the lines of a measure come from: precomputed or raw rows, behind one interface."""

import asyncio
from typing import Protocol

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Measure
from analytics.queries.questions.trends.lines import (
    Groups,
    LinesSpec,
    Totals,
    Values,
    Window,
    by_slot,
    largest,
    lines,
)
from analytics.queries.questions.trends.precomputed_lines import CountLines, NumberLines
from analytics.queries.questions.trends.session_trends import SessionTrends


class LineSource(Protocol):
    """What `trends.py` builds its answer from."""

    async def largest(self, limit: int) -> list[str | None]:
        """The groups to show."""

    async def values(self, groups: Groups, window: Window) -> Values:
        """The measure in each bucket of a window.

        Rows before its range count only where later buckets include them.
        """

    async def totals(self, groups: Groups, window: Window, values: Values) -> Totals:
        """The measure over the range of a window. `values` are those of the window."""


def preferred(measure: Measure) -> type[SessionTrends | NumberLines | CountLines]:
    """The source to try first. Its `load` gives None where only raw rows can answer."""
    if measure.name == "sessions":
        return SessionTrends
    return NumberLines if measure.field else CountLines


class RawLines:
    """Raw rows, aggregated by PostgreSQL."""

    def __init__(self, spec: LinesSpec, snapshot: Snapshot) -> None:
        self._spec = spec
        self._snapshot = snapshot
        snapshot.sources.add("raw")

    async def largest(self, limit: int) -> list[str | None]:
        spec = self._spec
        if spec.by is None:
            return [None]
        statement = largest(spec.measure, spec.by, spec.query.rows(), limit)
        return [row.key for row in await self._snapshot.rows(statement)]

    async def values(self, groups: Groups, window: Window) -> Values:
        rows = self._spec.query.rows(window.first, window.end)
        statement = lines(self._spec.measure, groups, rows, window)
        return await asyncio.to_thread(by_slot, await self._snapshot.rows(statement))

    async def totals(self, groups: Groups, window: Window, values: Values) -> Totals:
        """Added up from the buckets where that gives the same, else one more statement."""
        union = self._spec.measure.kind.union
        if union and window.rolling == 1:
            return {slot: union.python(buckets.values()) for slot, buckets in values.items()}
        one_bucket = Window.whole([window.start, window.end])
        totals = await self.values(groups, one_bucket)
        return {slot: buckets[0] for slot, buckets in totals.items()}
