"""Memory: what was read from rollups and cannot change, kept between questions up to a bound.

A part of `rollups` is never changed, and its number never given again, so what is known of certain
parts is true for as long as these are all that there are. Every question asks its snapshot which
these are; whatever merges, rebuilds or erases makes new ones.
"""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

from analytics.queries.database.sums import Sum

MOST = 256_000_000
SHARE = 4
"""Bytes that are kept, roughly: this many, or a quarter of what the process may have where that is
less.
"""

CGROUP = Path("/sys/fs/cgroup/memory.max")

OVERHEAD = 400
"""Bytes of a cell besides its bitmap or its numbers."""

Name = tuple[str, str, str | None]
"""A type, an action (or ANY) and a dimension's value."""

Cells = dict[Name, Sum]


class Kept(NamedTuple):
    """What is known, whether people are there too, and bytes, roughly."""

    cells: Any
    """By a key that says so: Cells, Figures by name, a packed day with what it is of; None for
    cells of a dimension that is not complete.
    """
    people: bool
    size: int


def allowance(limit: Path = CGROUP) -> int:
    """How many bytes may be kept, by the memory of the machine and of the container, if this is one
    (cgroup v2).
    """
    may_have = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):  # there is none, or it says `max`
        may_have.append(int(limit.read_text()))
    return min(MOST, min(may_have) // SHARE)


class Memory:
    """Cells by key; what was not asked for longest is forgotten first."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = allowance() if limit is None else limit
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self.size = 0

    def find(self, key: Hashable, *, people: bool) -> Kept | None:
        """What is known, unless people are wanted and were not read."""
        kept = self._kept.get(key)
        if kept is None or people > kept.people:
            return None
        self._kept.move_to_end(key)
        return kept

    def keep(self, key: Hashable, kept: Kept) -> None:
        """Remember until there is more than the limit allows."""
        if old := self._kept.pop(key, None):
            self.size -= old.size
        self._kept[key] = max(kept, old or kept, key=lambda each: each.people)
        self.size += self._kept[key].size
        while self.size > self.limit:
            self.size -= self._kept.popitem(last=False)[1].size
