"""Stickiness: in how many buckets of the range people are active."""

from collections.abc import Iterator, Sequence

import msgspec
from pyroaring import BitMap

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.query import BucketedQuery
from analytics.queries.question import Question
from analytics.queries.questions.activity.actives import actives


class Stickiness(msgspec.Struct, frozen=True):
    """The answer of `/api/stickiness`: numbers of buckets, and people active in exactly so many."""

    buckets: list[int]
    users: list[int]


async def answer(query: BucketedQuery, snapshot: Snapshot) -> Stickiness:
    """How many people were active in exactly 1, 2, 3, … buckets of the range.

    Only rows in the range count, in its first bucket too.
    """
    edges = query.edges()
    active = await actives(query, snapshot, [query.start, *edges[1:-1], query.end])
    people_of = dict(times_active(active))
    buckets = list(range(1, len(edges)))
    return Stickiness(buckets, [people_of.get(bucket, 0) for bucket in buckets])


def times_active(sets: Sequence[BitMap]) -> Iterator[tuple[int, int]]:
    """For each number of sets: how many people are in exactly that many, where there are any.

    Everybody's number is kept at once, as binary digits: `digits[i]` is the set of people whose
    number has digit i. To add a set is to add 1 to its members' numbers, with a carry from digit to
    digit. So n sets cost O(n log n) set operations, and memory for log n sets.
    """
    digits: list[BitMap] = []
    for carry in sets:
        for at, digit in enumerate(digits):
            digits[at], carry = digit ^ carry, digit & carry
        if carry:
            digits.append(carry)
    # Read the numbers from the highest digit down: each digit halves every group of people whose
    # digits so far are the same.
    groups = {0: BitMap.union(*sets)} if digits else {}
    for digit in reversed(digits):
        halves = (
            (2 * number + has, members & digit if has else members - digit)
            for number, members in groups.items()
            for has in (0, 1)
        )
        groups = {number: members for number, members in halves if members}
    return ((number, len(members)) for number, members in groups.items())


QUESTION = Question("/stickiness", BucketedQuery, answer)
