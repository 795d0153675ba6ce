"""Memory: what was read from rollups and cannot change, kept between queries up to a bound.

A part of `rollups` never changes, and its number is never given again. So what is known of a set of
parts stays true as long as these are all parts there are. Every query asks its snapshot for the
numbers of the parts; whoever merges, rebuilds or erases makes new ones.
"""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

from analytics.queries.database.sums import Sum

MAX_MEMORY_BYTES = 256_000_000
MEMORY_PARTS = 4
"""Memory takes MAX_MEMORY_BYTES, roughly, but at most a quarter of what the process may have."""

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

OVERHEAD_BYTES = 400
"""Of a cell, besides its bitmap or its numbers."""

Name = tuple[str, str, str | None]
"""A type, an action (or ANY) and a dimension's value."""

Cells = dict[Name, Sum]


class MemoryEntry(NamedTuple):
    """What is known by one key."""

    cells: Any
    """What the key says: Cells, Summaries by name, or a packed day with the version it belongs to.

    None for cells of a dimension that is not complete.
    """
    people: bool
    """Whether sets of people were read too."""
    size_bytes: int
    """Roughly."""


def allowance(limit: Path = CGROUP_LIMIT) -> int:
    """How many bytes may be kept, by the memory of the machine and of its container (cgroup v2)."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):  # there is no limit, or it says `max`
        limits.append(int(limit.read_text()))
    return min(MAX_MEMORY_BYTES, min(limits) // MEMORY_PARTS)


class Memory:
    """Entries by key; the least recently used are forgotten first.

    What counts is bytes, not entries, so this is no `Lru`.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        """`limit_bytes` None: the allowance."""
        self.limit_bytes = allowance() if limit_bytes is None else limit_bytes
        self.used_bytes = 0
        self._entries: OrderedDict[Hashable, MemoryEntry] = OrderedDict()

    def find(self, key: Hashable, *, people: bool) -> MemoryEntry | None:
        """The entry of a key; None too if people are asked for and were not read."""
        entry = self._entries.get(key)
        if entry is None or people > entry.people:
            return None
        self._entries.move_to_end(key)
        return entry

    def keep(self, key: Hashable, entry: MemoryEntry) -> None:
        """Remember an entry; one without people does not replace one with them."""
        if old := self._entries.pop(key, None):
            self.used_bytes -= old.size_bytes
        self._entries[key] = max(entry, old or entry, key=lambda each: each.people)
        self.used_bytes += self._entries[key].size_bytes
        while self.used_bytes > self.limit_bytes:
            self.used_bytes -= self._entries.popitem(last=False)[1].size_bytes
