"""Visited: the lines of `measure=sessions` from packed days, where each bucket counts alone."""

import asyncio

import numpy as np
from msgspec.structs import replace

from analytics.derived.arrays import Array, distinct
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.questions.trends.lines import OTHER, Found, Groups, Totals, Wanted, Window
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns, microseconds
from analytics.queries.sequences.visits import Stays, stays


class Visited:
    """A source (`source.py`): the stays of the range, and of the one that it is compared with."""

    def __init__(self, wanted: Wanted, columns: Columns, before: Columns | None) -> None:
        self._wanted = wanted
        self._groups: dict[str | None, int] = {}
        self._stays = self._found(columns, wanted.window)
        self._before = self._found(before, wanted.previous) if before and wanted.previous else None

    @classmethod
    async def load(cls, wanted: Wanted, snapshot: Snapshot) -> "Visited | None":
        """None where only raw rows can say: where too little is settled, and where buckets look
        back at those before them.
        """
        if wanted.window.rolling > 1:
            return None
        query, previous, before = wanted.query, wanted.previous, None
        columns = await packed_days.load(query, snapshot, wanted.by, sessions=True)
        if columns is not None and previous is not None:
            before = await packed_days.load(
                replace(query, start=previous.edges[0], end=previous.edges[-1]),
                snapshot,
                wanted.by,
                sessions=True,
            )
        if columns is None or (previous is not None and before is None):
            return None
        return await columns.work(lambda: cls(wanted, columns, before))

    async def largest(self, limit: int) -> list[str | None]:
        return [None] if self._wanted.by is None else await asyncio.to_thread(self._largest, limit)

    async def values(self, groups: Groups, window: Window) -> Found:
        return await asyncio.to_thread(self._values, groups, window)

    async def totals(self, groups: Groups, values: Found) -> Totals:
        slots = self._slots(groups)
        counts = await asyncio.to_thread(
            lambda: _counts(self._stays.session, slots[self._stays.group], len(groups.shown) + 1)
        )
        return {slot: n for slot, n in enumerate(counts) if n}

    def _found(self, columns: Columns, window: Window) -> Stays:
        edges = np.array(list(map(microseconds, window.edges)))
        numbers = [
            self._groups.setdefault(value, len(self._groups))
            for value in columns.values(self._wanted.by)
        ]
        return stays(
            columns,
            columns.passing(self._wanted.query.event),
            edges,
            None if self._wanted.by is None else np.array(numbers, np.int64),
        )

    def _largest(self, limit: int) -> list[str | None]:
        counts = _counts(self._stays.session, self._stays.group, len(self._groups))
        there = [group for group, number in self._groups.items() if counts[number]]
        return sorted(
            there, key=lambda group: (-counts[self._groups[group]], group is None, group or "")
        )[:limit]

    def _values(self, groups: Groups, window: Window) -> Found:
        of = (
            self._before
            if window is self._wanted.previous and self._before is not None
            else self._stays
        )
        many = len(window.edges)
        counts = _counts(
            of.session,
            self._slots(groups)[of.group] * many + of.bucket,
            (len(groups.shown) + 1) * many,
        )
        found: Found = {}
        for place in np.flatnonzero(counts).tolist():
            slot, bucket = divmod(place, many)
            found.setdefault(slot, {})[bucket - 1] = int(counts[place])
        return found

    def _slots(self, groups: Groups) -> Array:
        """The slot of each group."""
        if self._wanted.by is None:
            return np.ones(1, np.int64)
        slot_of = {group: slot for slot, group in enumerate(groups.shown, 1)}
        return np.array([slot_of.get(group, OTHER) for group in self._groups], np.int64)


def _counts(session: Array, place: Array, places: int) -> list[int]:
    """How many sessions there are at each place."""
    if not len(session):
        return [0] * places
    many = int(session.max()) + 1
    found: list[int] = np.bincount(
        distinct(place.astype(np.int64) * many + session) // many, minlength=places
    ).tolist()
    return found
