"""Source: where the lines of a measure come from, precomputed or raw, behind one face; the planner
picks.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from operator import itemgetter
from typing import Any, Generic, Protocol, Self, TypeVar

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.database.sums import Bucket, Sum, united, whole
from analytics.queries.precomputed import figures
from analytics.queries.precomputed.figures import Figure, Of
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.questions.trends.lines import (
    OTHER,
    Found,
    Groups,
    Totals,
    Wanted,
    Window,
    found,
    largest,
    lines,
)
from analytics.queries.questions.trends.session_trends import Visited

MAX_LOOKS = 300_000
"""Figures that are looked at for rolling measures, each as often as it is in a window; more are for
the database.
"""

Addend = TypeVar("Addend")


class Source(Protocol):
    """What answers are made of."""

    async def largest(self, limit: int) -> list[str | None]:
        """The groups to show."""

    async def values(self, groups: Groups, window: Window) -> Found:
        """The measure in each bucket of a window, cut to the range where nothing looks back behind
        it.
        """

    async def totals(self, groups: Groups, values: Found) -> Totals:
        """The measure over the whole range."""


async def choose(wanted: Wanted, snapshot: Snapshot) -> Source:
    """Rollups where they cover all that is wanted, else raw rows."""
    if wanted.measure.name == "sessions":
        found: Source | None = await Visited.load(wanted, snapshot)
    else:
        kind: type[Added[Any]] = Figured if wanted.measure.field else Rolled
        found = await kind.load(wanted, snapshot)
        snapshot.sources.add("rollup" if found else "raw")
    if found is None:
        snapshot.sources.add("raw")
    return found or Rows(wanted, snapshot)


class Rows(Source):
    """Raw rows, aggregated by the database."""

    def __init__(self, wanted: Wanted, snapshot: Snapshot) -> None:
        self._wanted = wanted
        self._snapshot = snapshot

    async def largest(self, limit: int) -> list[str | None]:
        wanted = self._wanted
        if wanted.by is None:
            return [None]
        return [
            row.key
            for row in await self._snapshot.rows(
                largest(wanted.measure, wanted.by, wanted.query.rows(), limit)
            )
        ]

    async def values(self, groups: Groups, window: Window) -> Found:
        query = self._wanted.query
        start = (
            query.start
            if window.edges[-1] >= query.end and window.rolling == 1
            else window.edges[0]
        )
        rows = query.rows(start, min(query.end, window.edges[-1]))
        return found(await self._snapshot.rows(lines(self._wanted.measure, groups, rows, window)))

    async def totals(self, groups: Groups, values: Found) -> Totals:
        """Put together from the buckets where that can be done."""
        query, union = self._wanted.query, self._wanted.measure.kind.union
        if union and self._wanted.window.rolling == 1:
            return {slot: union.python(buckets.values()) for slot, buckets in values.items()}
        whole = found(
            await self._snapshot.rows(
                lines(self._wanted.measure, groups, query.rows(), Window([query.start, query.end]))
            )
        )
        return {slot: buckets[0] for slot, buckets in whole.items()}


class Added(Source, Generic[Addend]):
    """What is added up between all edges that matter; looked at in a thread, for there may be
    millions of addends.
    """

    def __init__(
        self,
        wanted: Wanted,
        edges: Sequence[datetime],
        buckets: Sequence[Mapping[str | None, Addend]],
    ) -> None:
        self._wanted = wanted
        self._buckets = list(zip(edges, buckets, strict=False))
        self._whole = self._joined(
            [
                bucket
                for start, bucket in self._buckets
                if wanted.query.start <= start < wanted.query.end
            ]
        )

    @classmethod
    async def load(cls, wanted: Wanted, snapshot: Snapshot) -> Self | None:
        """None where only raw rows can say."""
        query = wanted.query
        edges = {
            query.start,
            query.end,
            *(
                edge
                for window in (wanted.window, wanted.previous)
                if window
                for edge in window.edges
            ),
        }
        ordered = sorted(edge for edge in edges if edge <= query.end)
        if wanted.window.rolling == 1 and wanted.previous is None:
            ordered = [edge for edge in ordered if edge >= query.start]
        buckets = await cls._snapshot(wanted, Rollup(snapshot), ordered)
        return None if buckets is None else await asyncio.to_thread(cls, wanted, ordered, buckets)

    @classmethod
    @abstractmethod
    async def _snapshot(
        cls, wanted: Wanted, rollup: Rollup, edges: Sequence[datetime]
    ) -> Sequence[Mapping[str | None, Addend]] | None:
        """The addends between each two edges, by group."""

    @abstractmethod
    def _joined(
        self, buckets: Sequence[Mapping[str | None, Addend]]
    ) -> Mapping[str | None, Addend]:
        """Several buckets as one."""

    @abstractmethod
    def _measure(self, addends: Sequence[Addend]) -> Any:
        """The measure of some addends together."""

    @abstractmethod
    def _rolled(self, buckets: Sequence[Sequence[Addend]], rolling: int) -> list[Any]:
        """The measure of each `rolling` neighbours."""

    async def largest(self, limit: int) -> list[str | None]:
        return [None] if self._wanted.by is None else await asyncio.to_thread(self._largest, limit)

    def _largest(self, limit: int) -> list[str | None]:
        totals = [(group, self._measure([addend])) for group, addend in self._whole.items()]
        totals.sort(key=lambda item: (item[0] is None, item[0] or ""))
        measured = sorted(
            (item for item in totals if item[1] is not None), key=itemgetter(1), reverse=True
        )  # equals stay in their order
        return [group for group, _ in [*measured, *(item for item in totals if item[1] is None)]][
            :limit
        ]

    async def values(self, groups: Groups, window: Window) -> Found:
        return await asyncio.to_thread(self._values, groups, window)

    def _values(self, groups: Groups, window: Window) -> Found:
        query = self._wanted.query
        cut = (
            query.start
            if window.edges[-1] >= query.end and window.rolling == 1
            else window.edges[0]
        )
        end = min(query.end, window.edges[-1])
        slots = self._slots(
            groups,
            [(start, bucket) for start, bucket in self._buckets if cut <= start < end],
            window.edges,
        )
        return {
            slot: dict(enumerate(self._rolled(buckets, window.rolling)))
            for slot, buckets in slots.items()
        }

    async def totals(self, groups: Groups, values: Found) -> Totals:
        return await asyncio.to_thread(self._totals, groups)

    def _totals(self, groups: Groups) -> Totals:
        range_ = [self._wanted.query.start, self._wanted.query.end]
        return {
            slot: self._measure(addends)
            for slot, (addends,) in self._slots(groups, [(range_[0], self._whole)], range_).items()
        }

    def _slots(
        self,
        groups: Groups,
        parts: Sequence[tuple[datetime, Mapping[str | None, Addend]]],
        edges: Sequence[datetime],
    ) -> dict[int, list[list[Addend]]]:
        """The addends of each slot by bucket."""
        slot_of = {group: slot for slot, group in enumerate(groups.shown, 1)}
        slots: dict[int, list[list[Addend]]] = {}
        at = 0
        for start, bucket in parts:
            while edges[at + 1] <= start:
                at += 1
            for group, addend in bucket.items():
                slot = slot_of.get(group, OTHER)
                if slot not in slots:
                    slots[slot] = [[] for _ in edges[1:]]
                slots[slot][at].append(addend)
        return slots


class Rolled(Added[Sum]):
    """Counts and people, of rollups or in their shape."""

    @classmethod
    async def _snapshot(
        cls, wanted: Wanted, rollup: Rollup, edges: Sequence[datetime]
    ) -> list[Bucket] | None:
        return await rollup.buckets(
            wanted.query, edges, wanted.by, people=wanted.measure.name == "users"
        )

    def _joined(self, buckets: Sequence[Mapping[str | None, Sum]]) -> Bucket:
        return whole(buckets)

    @property
    def _users(self) -> bool:
        return self._wanted.measure.name == "users"

    def _measure(self, sums: Sequence[Sum]) -> int:
        return (
            len(united([sum_.people for sum_ in sums]))
            if self._users
            else sum(sum_.count for sum_ in sums)
        )

    def _rolled(self, buckets: Sequence[Sequence[Sum]], rolling: int) -> list[int]:
        """The measure of each `rolling` neighbours.

        People: of every `rolling` buckets, unions from the first on and up to the last; each window
        is one of either kind (van Herk's way).
        """
        if rolling == 1:
            return [self._measure(sums) for sums in buckets]
        windows = range(len(buckets) - rolling + 1)
        if not self._users:
            sums = list(accumulate((self._measure(sums) for sums in buckets), initial=0))
            return [sums[at + rolling] - sums[at] for at in windows]
        people = [united([sum_.people for sum_ in sums]) for sums in buckets]
        forward, backward = list(people), list(people)
        for at in range(len(people)):
            if at % rolling:
                forward[at] = forward[at - 1] | people[at]
        for at in reversed(range(len(people) - 1)):
            if (at + 1) % rolling:
                backward[at] = backward[at + 1] | people[at]
        return [backward[at].union_cardinality(forward[at + rolling - 1]) for at in windows]


class Figured(Added[Figure]):
    """What is said of numbers, which only raw rows have."""

    @classmethod
    async def _snapshot(
        cls, wanted: Wanted, rollup: Rollup, edges: Sequence[datetime]
    ) -> list[figures.Groups] | None:
        of = Of.measure(wanted.measure)
        assert of is not None  # noqa: S101 - `choose` saw to it
        buckets = await rollup.figures(wanted.query, edges, wanted.by, of)
        return (
            None
            if buckets is None
            or (
                wanted.window.rolling > 1
                and wanted.window.rolling * sum(map(len, buckets)) > MAX_LOOKS
            )
            else buckets
        )

    def _joined(self, buckets: Sequence[Mapping[str | None, Figure]]) -> figures.Groups:
        return figures.whole(buckets)

    def _measure(self, addends: Sequence[Figure]) -> Any:
        return (
            figures.joined(addends).measure(self._wanted.measure.name)
            if addends
            else self._wanted.measure.kind.empty
        )

    def _rolled(self, buckets: Sequence[Sequence[Figure]], rolling: int) -> list[Any]:
        return [
            self._measure([addend for addends in buckets[at : at + rolling] for addend in addends])
            for at in range(len(buckets) - rolling + 1)
        ]
