"""Sums: counts add up, people are united once somebody looks, and linked people are one."""

import struct

from pyroaring import BitMap

from analytics.queries.database.identity import IdentityLinks
from analytics.queries.database.sums import Sum, Sums, numbers, people, total, united, whole


def test_people_of_several_parts_are_counted_once_whatever_the_parts_are() -> None:
    inner = Sum(2, BitMap([1, 2]))
    assert Sum(5, [inner, BitMap([2, 3]).serialize()]).people == BitMap([1, 2, 3])
    assert Sum(0, ()).people == BitMap()
    assert (total([inner, Sum(3, BitMap([2, 4]))]).count, total([inner])) == (5, inner)
    assert total([inner, Sum(3, BitMap([2, 4]))]).people == BitMap([1, 2, 4])


def test_looking_at_a_sum_changes_none_of_its_parts() -> None:
    part = BitMap([1])
    assert united([part]) is part
    assert united([part, BitMap([2])]) == BitMap([1, 2])
    assert part == BitMap([1])


def test_numbers_are_read_as_postgresql_packs_them() -> None:
    assert numbers(struct.pack(">3I", 1, 256, 2**31 - 1)).tolist() == [1, 256, 2**31 - 1]
    assert numbers(b"").tolist() == []


def test_buckets_as_one_have_each_group_of_any_of_them() -> None:
    one = {"a": Sum(1, BitMap([1])), None: Sum(2, BitMap([2]))}
    both = whole([one, {"a": Sum(4, BitMap([1, 3]))}, {}])
    assert {group: (sum_.count, sum_.people) for group, sum_ in both.items()} == {
        "a": (5, BitMap([1, 3])),
        None: (2, BitMap([2])),
    }


def test_linked_people_are_one_in_each_bucket_and_the_sums_added_stay_as_they_are() -> None:
    added = Sum(3, BitMap([1, 2, 5]))
    sums = Sums(2, IdentityLinks(1, {1: 2, 7: 8}))
    sums.add(0, None, added)
    sums.add(1, None, Sum(1, BitMap([5])))
    first, second = sums.buckets(people=True)
    assert (people(first), people(second), people({})) == (BitMap([2, 5]), BitMap([5]), BitMap())
    assert (first[None].count, added.people) == (3, BitMap([1, 2, 5]))
