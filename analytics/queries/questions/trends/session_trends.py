"""Lines of `measure=sessions`, from packed days. A session counts in each of its buckets."""

import asyncio

import numpy as np
from msgspec.structs import replace

from analytics.derived.arrays import Array, distinct
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.questions.trends.lines import (
    OTHER,
    Groups,
    LinesSpec,
    Totals,
    Values,
    Window,
)
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns, epoch_us
from analytics.queries.sequences.fragments import Fragments, fragments


class SessionTrends:
    """A LineSource (`source.py`): the fragments of the range, and of the one to compare with."""

    def __init__(self, spec: LinesSpec, columns: Columns, previous: Columns | None) -> None:
        self._spec = spec
        self._number_of: dict[str | None, int] = {}
        self._fragments = self._read(columns, spec.window)
        self._previous = None
        if previous and spec.previous:
            self._previous = self._read(previous, spec.previous)

    @classmethod
    async def load(cls, spec: LinesSpec, snapshot: Snapshot) -> "SessionTrends | None":
        """None where only raw rows can answer.

        That is where packed days cannot, and where buckets roll: a session would then have to be
        counted once for several buckets.
        """
        if spec.window.rolling > 1:
            return None
        query, previous = spec.query, None
        columns = await packed_days.load(query, snapshot, spec.by, sessions=True)
        if columns is None:
            return None
        if spec.previous is not None:
            edges = spec.previous.edges
            before = replace(query, start=edges[0], end=edges[-1])
            previous = await packed_days.load(before, snapshot, spec.by, sessions=True)
            if previous is None:
                return None
        return await columns.work(lambda: cls(spec, columns, previous))

    async def largest(self, limit: int) -> list[str | None]:
        return [None] if self._spec.by is None else await asyncio.to_thread(self._largest, limit)

    async def values(self, groups: Groups, window: Window) -> Values:
        return await asyncio.to_thread(self._values, groups, window)

    async def totals(self, groups: Groups, window: Window, values: Values) -> Totals:
        return await asyncio.to_thread(self._totals, groups, window)

    def _read(self, columns: Columns, window: Window) -> Fragments:
        edges_us = np.array(list(map(epoch_us, window.edges)))
        number_of = self._number_of
        numbers = [
            number_of.setdefault(value, len(number_of)) for value in columns.values(self._spec.by)
        ]
        group_of = None if self._spec.by is None else np.array(numbers, np.int64)
        included = columns.matching(self._spec.query.event)
        return fragments(columns, included, edges_us, group_of)

    def _largest(self, limit: int) -> list[str | None]:
        number_of = self._number_of
        counts = _distinct_sessions(self._fragments.session, self._fragments.group, len(number_of))
        groups = [group for group, number in number_of.items() if counts[number]]
        groups.sort(key=lambda group: (-counts[number_of[group]], group is None, group or ""))
        return groups[:limit]

    def _values(self, groups: Groups, window: Window) -> Values:
        every = self._fragments_of(window)
        slots, buckets = len(groups.shown) + 1, len(window.edges)
        place = self._slots(groups)[every.group] * buckets + every.bucket
        counts = _distinct_sessions(every.session, place, slots * buckets)
        values: Values = {}
        for at in np.flatnonzero(counts).tolist():
            slot, bucket = divmod(at, buckets)
            values.setdefault(slot, {})[bucket - 1] = int(counts[at])
        return values

    def _totals(self, groups: Groups, window: Window) -> Totals:
        every = self._fragments_of(window)
        slot = self._slots(groups)[every.group]
        counts = _distinct_sessions(every.session, slot, len(groups.shown) + 1)
        return {slot: n for slot, n in enumerate(counts) if n}

    def _fragments_of(self, window: Window) -> Fragments:
        if window is self._spec.previous and self._previous is not None:
            return self._previous
        return self._fragments

    def _slots(self, groups: Groups) -> Array:
        """The slot of each group number."""
        if self._spec.by is None:
            return np.ones(1, np.int64)
        slot_of = {group: slot for slot, group in enumerate(groups.shown, 1)}
        return np.array([slot_of.get(group, OTHER) for group in self._number_of], np.int64)


def _distinct_sessions(session: Array, place: Array, places: int) -> list[int]:
    """How many distinct sessions there are at each place.

    Pairs of place and session are one number, so that one sort finds the distinct pairs.
    """
    if not len(session):
        return [0] * places
    base = int(session.max()) + 1
    pairs = distinct(place.astype(np.int64) * base + session)
    counts: list[int] = np.bincount(pairs // base, minlength=places).tolist()
    return counts
