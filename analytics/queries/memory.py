"""Memory: what was read from rollups and cannot change, kept between questions up to a bound.

A part of `rollups` is never changed, and its number never given again, so what is known of certain parts is true for as long as
these are all that there are. Every question asks its snapshot which these are; whatever merges, rebuilds or erases makes new ones.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from analytics.queries.figures import Figure
from analytics.queries.sums import Sum

LIMIT = 256_000_000
"""Bytes that are kept, roughly."""

OVERHEAD = 400
"""Bytes of a cell besides its bitmap or its numbers."""

Name = tuple[str, str, str | None]
"""A type, an action (or ANY) and a dimension's value."""

Cells = dict[Name, Sum]


class Kept(NamedTuple):
    """Cells (or, by a key that says so, figures), or None for those of a dimension that is not complete; whether people are there too; and bytes, roughly."""

    cells: Cells | dict[Name, Figure] | None
    people: bool
    size: int


class Memory:
    """Cells by key; what was not asked for longest is forgotten first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
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
