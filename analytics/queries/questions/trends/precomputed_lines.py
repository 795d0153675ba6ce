"""Lines from rollups and cached counts: addends for each bucket and group, added up as needed."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from operator import itemgetter
from typing import Any, Generic, Self, TypeVar

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.database.sums import Bucket, Sum, united, whole
from analytics.queries.precomputed import summaries
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.precomputed.summaries import NumberSpec, Summary, SummaryByGroup
from analytics.queries.questions.trends.lines import (
    OTHER,
    Groups,
    LinesSpec,
    Totals,
    Values,
    Window,
)

MAX_ROLLING_SUMMARIES = 300_000
"""Summaries that rolling windows may combine, counted in each window; else PostgreSQL rolls."""

Addend = TypeVar("Addend")


class PrecomputedLines(ABC, Generic[Addend]):
    """A LineSource (`source.py`) that has the addends between all edges it needs.

    Measures are computed in a thread, because there may be millions of addends.
    """

    def __init__(
        self,
        spec: LinesSpec,
        edges: Sequence[datetime],
        buckets: Sequence[Mapping[str | None, Addend]],
    ) -> None:
        self._spec = spec
        self._buckets = list(zip(edges, buckets, strict=False))
        in_range = self._between(spec.window.start, spec.window.end)
        self._whole = self._merged([bucket for _, bucket in in_range])

    @classmethod
    async def load(cls, spec: LinesSpec, snapshot: Snapshot) -> Self | None:
        """None where only raw rows can answer."""
        query, edges = spec.query, {spec.query.start, spec.query.end}
        for window in (spec.window, spec.previous):
            edges.update(window.edges if window else ())
        ordered = sorted(edge for edge in edges if edge <= query.end)
        if spec.window.rolling == 1 and spec.previous is None:
            ordered = [edge for edge in ordered if edge >= query.start]
        buckets = await cls._read(spec, Rollup(snapshot), ordered)
        if buckets is None or not cls._can_roll(buckets, spec.window.rolling):
            return None
        snapshot.sources.add("rollup")
        return await asyncio.to_thread(cls, spec, ordered, buckets)

    @classmethod
    @abstractmethod
    def _read(
        cls, spec: LinesSpec, rollup: Rollup, edges: Sequence[datetime]
    ) -> Awaitable[Sequence[Mapping[str | None, Addend]] | None]:
        """The addends between each two edges, by group."""

    @classmethod
    def _can_roll(cls, buckets: Sequence[Mapping[str | None, Addend]], rolling: int) -> bool:
        """Whether windows of `rolling` buckets are quicker to compute here than in PostgreSQL."""
        return True

    @abstractmethod
    def _merged(
        self, buckets: Sequence[Mapping[str | None, Addend]]
    ) -> Mapping[str | None, Addend]:
        """Several buckets as one."""

    @abstractmethod
    def _measure(self, addends: Sequence[Addend]) -> Any:
        """The measure of some addends together."""

    @abstractmethod
    def _rolling(self, buckets: Sequence[Sequence[Addend]], rolling: int) -> list[Any]:
        """The measure of each `rolling` neighbours."""

    async def largest(self, limit: int) -> list[str | None]:
        return [None] if self._spec.by is None else await asyncio.to_thread(self._largest, limit)

    def _largest(self, limit: int) -> list[str | None]:
        totals = [(group, self._measure([addend])) for group, addend in self._whole.items()]
        totals.sort(key=lambda item: (item[0] is None, item[0] or ""))
        known = [item for item in totals if item[1] is not None]
        known.sort(key=itemgetter(1), reverse=True)  # stable: equal ones stay in order of keys
        unknown = [item for item in totals if item[1] is None]
        return [group for group, _ in [*known, *unknown][:limit]]

    async def values(self, groups: Groups, window: Window) -> Values:
        return await asyncio.to_thread(self._values, groups, window)

    def _values(self, groups: Groups, window: Window) -> Values:
        slots = self._by_slot(groups, self._between(window.first, window.end), window.edges)
        return {
            slot: dict(enumerate(self._rolling(addends, window.rolling)))
            for slot, addends in slots.items()
        }

    async def totals(self, groups: Groups, window: Window, values: Values) -> Totals:
        return await asyncio.to_thread(self._totals, groups, window)

    def _totals(self, groups: Groups, window: Window) -> Totals:
        parts = (
            [(window.start, self._whole)]
            if window is self._spec.window
            else self._between(window.start, window.end)
        )
        slots = self._by_slot(groups, parts, [window.start, window.end])
        return {slot: self._measure(addends) for slot, (addends,) in slots.items()}

    def _between(
        self, start: datetime, end: datetime
    ) -> list[tuple[datetime, Mapping[str | None, Addend]]]:
        return [(at, bucket) for at, bucket in self._buckets if start <= at < end]

    def _by_slot(
        self,
        groups: Groups,
        parts: Sequence[tuple[datetime, Mapping[str | None, Addend]]],
        edges: Sequence[datetime],
    ) -> dict[int, list[list[Addend]]]:
        """The addends of each slot, as a list for each bucket. `parts` are in order of time."""
        slot_of = {group: slot for slot, group in enumerate(groups.shown, 1)}
        slots: dict[int, list[list[Addend]]] = {}
        bucket = 0
        for start, addends in parts:
            while edges[bucket + 1] <= start:
                bucket += 1
            for group, addend in addends.items():
                slot = slot_of.get(group, OTHER)
                if slot not in slots:
                    slots[slot] = [[] for _ in edges[1:]]
                slots[slot][bucket].append(addend)
        return slots


class CountLines(PrecomputedLines[Sum]):
    """Lines of `count` and `users`."""

    @classmethod
    def _read(
        cls, spec: LinesSpec, rollup: Rollup, edges: Sequence[datetime]
    ) -> Awaitable[list[Bucket] | None]:
        people = spec.measure.name == "users"
        return rollup.buckets(spec.query, edges, spec.by, people=people)

    def _merged(self, buckets: Sequence[Mapping[str | None, Sum]]) -> Bucket:
        return whole(buckets)

    @property
    def _users(self) -> bool:
        return self._spec.measure.name == "users"

    def _measure(self, addends: Sequence[Sum]) -> int:
        if self._users:
            return len(united([addend.people for addend in addends]))
        return sum(addend.count for addend in addends)

    def _rolling(self, buckets: Sequence[Sequence[Sum]], rolling: int) -> list[int]:
        """The measure of each `rolling` neighbours, in time linear in the buckets.

        Counts are differences of running sums. Sets of people cannot be subtracted, so these use
        van Herk's algorithm: of every block of `rolling` buckets the unions from its first bucket
        on, and up to its last. Any window is one union of each kind, whatever its length.
        """
        if rolling == 1:
            return [self._measure(addends) for addends in buckets]
        windows = range(len(buckets) - rolling + 1)
        if not self._users:
            running = list(accumulate(map(self._measure, buckets), initial=0))
            return [running[at + rolling] - running[at] for at in windows]
        people = [united([addend.people for addend in addends]) for addends in buckets]
        from_first, to_last = list(people), list(people)
        for at in range(len(people)):
            if at % rolling:
                from_first[at] = from_first[at - 1] | people[at]
        for at in reversed(range(len(people) - 1)):
            if (at + 1) % rolling:
                to_last[at] = to_last[at + 1] | people[at]
        return [to_last[at].union_cardinality(from_first[at + rolling - 1]) for at in windows]


class NumberLines(PrecomputedLines[Summary]):
    """Lines of measures of numbers, such as sums and percentiles, from cached summaries."""

    @classmethod
    def _read(
        cls, spec: LinesSpec, rollup: Rollup, edges: Sequence[datetime]
    ) -> Awaitable[list[SummaryByGroup] | None]:
        numbers = NumberSpec.of(spec.measure)
        assert numbers is not None  # noqa: S101 - only measures of a field come here
        return rollup.summaries(spec.query, edges, spec.by, numbers)

    @classmethod
    def _can_roll(cls, buckets: Sequence[Mapping[str | None, Summary]], rolling: int) -> bool:
        return rolling == 1 or rolling * sum(map(len, buckets)) <= MAX_ROLLING_SUMMARIES

    def _merged(self, buckets: Sequence[Mapping[str | None, Summary]]) -> SummaryByGroup:
        return summaries.merged(buckets)

    def _measure(self, addends: Sequence[Summary]) -> Any:
        if not addends:
            return self._spec.measure.kind.empty
        return summaries.combined(addends).measure(self._spec.measure.name)

    def _rolling(self, buckets: Sequence[Sequence[Summary]], rolling: int) -> list[Any]:
        windows = range(len(buckets) - rolling + 1)
        return [
            self._measure([addend for bucket in buckets[at : at + rolling] for addend in bucket])
            for at in windows
        ]
