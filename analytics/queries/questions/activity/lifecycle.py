"""Lifecycle: new, returning, resurrecting and dormant people of each bucket."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
from pyroaring import BitMap

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.query import BucketedQuery
from analytics.queries.precomputed.pieces import FIRST_EVENT
from analytics.queries.question import Question
from analytics.queries.questions.activity.actives import actives


class Lifecycle(msgspec.Struct, frozen=True):
    """The answer of `/api/lifecycle`: the buckets' starts, and people (`dormant` is negative)."""

    times: list[str]
    new: list[int] = msgspec.field(default_factory=list)
    """Active for the first time."""
    returning: list[int] = msgspec.field(default_factory=list)
    """Active in the bucket before too."""
    resurrecting: list[int] = msgspec.field(default_factory=list)
    """Active before, but not in the bucket before."""
    dormant: list[int] = msgspec.field(default_factory=list)
    """Active in the bucket before, but not in this one."""


def lifecycle(times: list[str], earlier: BitMap, active: Sequence[BitMap]) -> Lifecycle:
    """The answer from sets of people: those active before all buckets, and in each bucket.

    The first of `active` is the bucket before the range; it is not shown.
    """
    result = Lifecycle(times)
    seen = earlier | active[0]
    for before, now in pairwise(active):
        result.new.append(len(now - seen))
        result.returning.append(len(now & before))
        result.resurrecting.append(len((now & seen) - before))
        result.dormant.append(-len(before - now))
        seen = seen | now
    return result


async def answer(query: BucketedQuery, snapshot: Snapshot) -> Lifecycle:
    """New, returning, resurrecting and dormant people of each bucket.

    People are followed from their first event that passes the filters; `from` only chooses the
    buckets shown.
    """
    edges = query.edges(before=1)
    earlier, *active = await actives(query, snapshot, [FIRST_EVENT, *edges[:-1], query.end])
    return lifecycle(query.times(edges[1:]), earlier, active)


QUESTION = Question("/lifecycle", BucketedQuery, answer)
