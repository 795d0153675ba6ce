"""Turns rows of `rollups` into the cells of blocks, and names these cells for the cache."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import Any

from analytics.derived.cells import ANY, unpack_counts, unpack_people
from analytics.derived.sparse import CONTENTS, is_sparse, unpack_contents
from analytics.queries.database.memory import OVERHEAD_BYTES, MemoryEntry, Name
from analytics.queries.database.sums import Sum
from analytics.queries.precomputed.pieces import Block
from analytics.queries.precomputed.plan import Plan

Place = tuple[int, int, str, str]
"""Of a row: its start, its part, its type and its action."""


def cache_keys(
    project: str, blocks: Sequence[Block], plan: Plan, parts: Iterable[Any]
) -> dict[Block, Hashable]:
    """The cache key of each block that has rows. `parts` are rows of `statements.parts`.

    Parts never change and their numbers are never reused, so the key names its cells for ever.
    """
    parts_of = {span: (starts, numbers) for span, starts, numbers in parts}
    keys: dict[Block, Hashable] = {}
    for block in blocks:
        starts, numbers = parts_of.get(block.span, ((), ()))
        begin = bisect_left(starts, block.starts.start)
        end = bisect_left(starts, block.starts.stop)
        if begin < end:
            here = tuple(starts[begin:end]), tuple(numbers[begin:end])
            keys[block] = (project, block.span, *here, plan.name)
    return keys


class CellReader:
    """Adds up the rows of blocks.

    A dimension is complete if its counts add up to the counts without a dimension: each event has
    one value of it, or none. It is incomplete where values were no text, too long or too many.
    """

    def __init__(self, blocks: Sequence[Block], plan: Plan, people: bool) -> None:
        self._plan = plan
        self._sums = {block: _BlockSums(people) for block in blocks}
        self._sums_of = {
            (block.span, start): sums
            for block, sums in self._sums.items()
            for start in block.starts
        }

    def add(self, rows: Iterable[Any]) -> None:
        """Add rows of `statements.rollup_rows`."""
        for span, start, part, key, type_, action, counts, people in rows:
            sums = self._sums_of[span, start]
            if key == self._plan.key:
                sums.add((start, part, type_, action), counts, people)
            else:
                sums.expect((start, part, type_, action), counts)

    def sparse_parts(self) -> set[int]:
        """The parts that may have left out rows, without which a dimension is incomplete."""
        if not self._plan.key:
            return set()
        left_out = (sums.left_out() for sums in self._sums.values())
        return {part for _, part, _, _ in chain.from_iterable(left_out) if is_sparse(part)}

    def fill_in(self, rows: Sequence[Any]) -> None:
        """Add rows of `statements.stand_ins` where the contents name the dimension."""
        contents = (row for row in rows if row.key == CONTENTS)
        naming = {row[:3] for row in contents if self._plan.key in unpack_contents(row.counts)}
        left_out = {sums: sums.left_out() for sums in self._sums.values()}
        for span, start, part, key, type_, action, counts, people in rows:
            sums, place = self._sums_of[span, start], (start, part, type_, action)
            if key == ANY and (span, start, part) in naming and place in left_out[sums]:
                sums.add(place, counts, people)

    def cells(self) -> dict[Block, MemoryEntry]:
        """The cells of each block."""
        return {block: sums.cells(bool(self._plan.key)) for block, sums in self._sums.items()}


class _BlockSums:
    """The sums of the rows of one block."""

    def __init__(self, people: bool) -> None:
        self._people = people
        self._counts: defaultdict[Name, int] = defaultdict(int)
        self._bitmaps: defaultdict[Name, list[bytes]] = defaultdict(list)
        self._size_bytes = OVERHEAD_BYTES
        self._missing = 0
        """Events without a dimension less those with one; 0 at the end if all were counted."""
        self._expected: set[Place] = set()
        self._added: set[Place] = set()

    def add(self, place: Place, packed_counts: bytes, packed_people: bytes | None) -> None:
        """Add a row of the dimension."""
        _, _, type_, action = place
        values, counts = unpack_counts(packed_counts)
        self._added.add(place)
        self._missing -= sum(counts)
        for value, count in zip(values, counts, strict=True):
            self._counts[type_, action, value] += count
        if self._people and packed_people is not None:
            for value, bitmap in zip(values, unpack_people(packed_people), strict=True):
                self._bitmaps[type_, action, value].append(bitmap)
            self._size_bytes += len(packed_people)

    def expect(self, place: Place, packed_counts: bytes) -> None:
        """Note a row without a dimension: as many events are to be in the row of the dimension."""
        self._expected.add(place)
        self._missing += sum(unpack_counts(packed_counts)[1])

    def left_out(self) -> set[Place]:
        """The rows of the dimension that are not there."""
        return self._expected - self._added if self._missing else set()

    def cells(self, expected: bool) -> MemoryEntry:
        """The sums; None in place of them if not all expected events are in them."""
        if expected and self._missing:
            return MemoryEntry(None, True, OVERHEAD_BYTES)
        size_bytes = self._size_bytes + OVERHEAD_BYTES * len(self._counts)
        sums = {
            name: Sum(count, self._bitmaps.get(name, ())) for name, count in self._counts.items()
        }
        return MemoryEntry(sums, self._people, size_bytes)
