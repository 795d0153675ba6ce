"""Chooses where the lines of a measure come from: precomputed or raw rows, behind one interface."""

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

        Rows before the query's range count only where later buckets include them.
        """

    async def totals(self, groups: Groups, values: Values) -> Totals:
        """The measure over the whole range. `values` are those of the query's window."""


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
        query = self._spec.query
        current = window.edges[-1] >= query.end
        start = query.start if current and window.rolling == 1 else window.edges[0]
        rows = query.rows(start, min(query.end, window.edges[-1]))
        statement = lines(self._spec.measure, groups, rows, window)
        return by_slot(await self._snapshot.rows(statement))

    async def totals(self, groups: Groups, values: Values) -> Totals:
        """Added up from the buckets where that gives the same, else one more statement."""
        query, measure = self._spec.query, self._spec.measure
        union = measure.kind.union
        if union and self._spec.window.rolling == 1:
            return {slot: union.python(buckets.values()) for slot, buckets in values.items()}
        window = Window([query.start, query.end])
        statement = lines(measure, groups, query.rows(), window)
        whole = by_slot(await self._snapshot.rows(statement))
        return {slot: buckets[0] for slot, buckets in whole.items()}
