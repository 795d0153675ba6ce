"""Sums: counts and sets of people that are put together from parts, and united no earlier than
somebody looks.
"""

import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pyroaring import BitMap

from analytics.queries.database.identity import NONE, Links


class Sum:
    """How many events, by whom. Questions share sums, so nobody changes a set of people: operators
    make new ones.
    """

    __slots__ = ("_held", "count")

    def __init__(self, count: int, people: "BitMap | Sequence[bytes | Sum]") -> None:
        """People: a set, or those of several addends (of rollups as serialized bitmaps)."""
        self.count = count
        self._held = people

    @property
    def people(self) -> BitMap:
        held = self._held  # looked at once, because another thread may be about to replace it
        if not isinstance(held, BitMap):
            held = self._held = united(
                [
                    addend.people if isinstance(addend, Sum) else BitMap.deserialize(addend)
                    for addend in held
                ]
            )
        return held


Bucket = dict[str | None, Sum]
"""The groups that have events; without a field to group by, the only one is None."""


def numbers(data: bytes) -> "array[int]":
    """What PostgreSQL's `int4send` made, one after the other."""
    found = array("I", data)
    # in either order they would tell people apart, but only small numbers make small sets
    if sys.byteorder == "little":
        found.byteswap()
    return found


def united(bitmaps: Sequence[BitMap]) -> BitMap:
    """The union of some; of one it is that one, not a copy."""
    return bitmaps[0] if len(bitmaps) == 1 else BitMap.union(*bitmaps) if bitmaps else BitMap()


def total(sums: Sequence[Sum]) -> Sum:
    """One sum of several."""
    return sums[0] if len(sums) == 1 else Sum(sum(one.count for one in sums), sums)


def people(bucket: Bucket) -> BitMap:
    """Everybody in a bucket that is not grouped."""
    return bucket[None].people if bucket else BitMap()


def whole(buckets: Iterable[Mapping[str | None, Sum]]) -> Bucket:
    """Several buckets as one."""
    sums = Sums(1)
    for bucket in buckets:
        for group, sum_ in bucket.items():
            sums.add(0, group, sum_)
    return sums.buckets(people=False)[0]


class Sums:
    """Buckets that are being added up, from rollups, deltas and raw rows alike: whatever is to be
    said of all people alike belongs here.
    """

    def __init__(self, buckets: int, links: Links = NONE) -> None:
        self._links = links
        self._addends: list[defaultdict[str | None, list[Sum]]] = [
            defaultdict(list) for _ in range(buckets)
        ]

    def add(self, bucket: int, group: str | None, addend: Sum) -> None:
        self._addends[bucket][group].append(addend)

    def buckets(self, *, people: bool) -> list[Bucket]:
        """What was added up, ready to be looked at: with `people`, no set is left to be united."""
        found = [
            {group: total(addends) for group, addends in bucket.items()} for bucket in self._addends
        ]
        if people:  # here, in a thread, rather than where answers are put together
            for bucket in found:
                for group, sum_ in bucket.items():
                    persons = self._links.united(sum_.people)
                    if persons is not sum_.people:
                        bucket[group] = Sum(sum_.count, persons)
        return found
