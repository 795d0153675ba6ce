"""Turns rows of `rollups` into the cells of blocks, and names these cells for the cache."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from analytics.derived.cells import unpack_counts, unpack_people
from analytics.queries.database.memory import OVERHEAD_BYTES, MemoryEntry, Name
from analytics.queries.database.sums import Sum
from analytics.queries.precomputed.pieces import Block
from analytics.queries.precomputed.plan import Plan


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


def read_cells(
    blocks: Sequence[Block], plan: Plan, rows: Iterable[Any], people: bool
) -> dict[Block, MemoryEntry]:
    """The cells of each block, from rows of `statements.rollup_rows`."""
    readers = {block: _CellReader(plan, people) for block in blocks}
    reader_of = {(block.span, start): readers[block] for block in blocks for start in block.starts}
    for span, start, *row in rows:
        reader_of[span, start].add(*row)
    return {block: reader.cells() for block, reader in readers.items()}


class _CellReader:
    """Adds up the rows of one block.

    A dimension is complete if its counts add up to the counts without a dimension: each event has
    one value of it, or none. It is incomplete where values were no text, too long or too many.
    """

    def __init__(self, plan: Plan, people: bool) -> None:
        self._plan = plan
        self._people = people
        self._counts: defaultdict[Name, int] = defaultdict(int)
        self._bitmaps: defaultdict[Name, list[bytes]] = defaultdict(list)
        self._missing = 0
        """Events without a dimension less those with one; 0 at the end if all were counted."""
        self._size_bytes = OVERHEAD_BYTES

    def add(
        self, key: str, type_: str, action: str, packed_counts: bytes, packed_people: bytes | None
    ) -> None:
        values, counts = unpack_counts(packed_counts)
        if self._plan.key:
            self._missing += -sum(counts) if key == self._plan.key else sum(counts)
        if key != self._plan.key:
            return
        for value, count in zip(values, counts, strict=True):
            self._counts[type_, action, value] += count
        if self._people and packed_people is not None:
            for value, bitmap in zip(values, unpack_people(packed_people), strict=True):
                self._bitmaps[type_, action, value].append(bitmap)
            self._size_bytes += len(packed_people)

    def cells(self) -> MemoryEntry:
        """The sums; None in place of them if the dimension is incomplete."""
        if self._missing:
            return MemoryEntry(None, True, OVERHEAD_BYTES)
        size_bytes = self._size_bytes + OVERHEAD_BYTES * len(self._counts)
        sums = {
            name: Sum(count, self._bitmaps.get(name, ())) for name, count in self._counts.items()
        }
        return MemoryEntry(sums, self._people, size_bytes)
