"""Sums: counts of events with sets of people, added up from parts.

Sets are united only when somebody looks at them.
"""

import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pyroaring import BitMap

from analytics.queries.database.identity import NO_LINKS, IdentityLinks


class Sum:
    """A number of events, and the people they are of.

    Queries share sums, so never change a set of people: operators make new ones.
    """

    __slots__ = ("_people", "count")

    def __init__(self, count: int, people: "BitMap | Sequence[bytes | Sum]") -> None:
        """People: a set, or its parts: sums, or serialized bitmaps of rollups."""
        self.count = count
        self._people = people

    @property
    def people(self) -> BitMap:
        people = self._people  # read once: another thread may replace it at any moment
        if not isinstance(people, BitMap):
            people = self._people = united([_set(part) for part in people])
        return people


def _set(part: bytes | Sum) -> BitMap:
    return part.people if isinstance(part, Sum) else BitMap.deserialize(part)


Bucket = dict[str | None, Sum]
"""The groups that have events; without a field to group by, the only group is None."""


def numbers(data: bytes) -> "array[int]":
    """The numbers of people, of concatenated results of PostgreSQL's `int4send` (big-endian)."""
    values = array("I", data)
    # either byte order would tell people apart, but only small numbers make small bitmaps
    if sys.byteorder == "little":
        values.byteswap()
    return values


def united(bitmaps: Sequence[BitMap]) -> BitMap:
    """The union; of a single bitmap that bitmap itself, not a copy."""
    if len(bitmaps) == 1:
        return bitmaps[0]
    return BitMap.union(*bitmaps) if bitmaps else BitMap()


def total(sums: Sequence[Sum]) -> Sum:
    """Several sums as one."""
    return sums[0] if len(sums) == 1 else Sum(sum(one.count for one in sums), sums)


def people(bucket: Bucket) -> BitMap:
    """All people of a bucket without groups."""
    return bucket[None].people if bucket else BitMap()


def whole(buckets: Iterable[Mapping[str | None, Sum]]) -> Bucket:
    """Several buckets as one."""
    sums = Sums(1)
    for bucket in buckets:
        for group, sum_ in bucket.items():
            sums.add(0, group, sum_)
    return sums.buckets(people=False)[0]


class Sums:
    """Buckets that are being added up, from rollups, deltas and raw rows alike.

    Identity links are applied here, to all of them at once.
    """

    def __init__(self, buckets: int, links: IdentityLinks = NO_LINKS) -> None:
        self._links = links
        self._addends: list[defaultdict[str | None, list[Sum]]] = [
            defaultdict(list) for _ in range(buckets)
        ]

    def add(self, bucket: int, group: str | None, addend: Sum) -> None:
        self._addends[bucket][group].append(addend)

    def buckets(self, *, people: bool) -> list[Bucket]:
        """What was added up. With `people`, all sets are united, and linked people are one."""
        buckets = [
            {group: total(addends) for group, addends in bucket.items()} for bucket in self._addends
        ]
        if people:  # now, because this runs in a thread, and answers are put together outside
            for bucket in buckets:
                for group, sum_ in bucket.items():
                    persons = self._links.united(sum_.people)
                    if persons is not sum_.people:
                        bucket[group] = Sum(sum_.count, persons)
        return buckets
