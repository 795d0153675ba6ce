"""Lifecycle: of those active in a bucket, who is new, who comes back at once and who after a while;
and who stays away.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
from pyroaring import BitMap

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.query import BucketedQuery
from analytics.queries.precomputed.pieces import EVER
from analytics.queries.question import Question
from analytics.queries.questions.activity.actives import actives


class Lifecycle(msgspec.Struct, frozen=True):
    """The answer of `/api/lifecycle`: for each bucket its start, and numbers of people (negative in
    `dormant`).
    """

    times: list[str]
    new: list[int] = msgspec.field(default_factory=list)
    returning: list[int] = msgspec.field(default_factory=list)
    resurrecting: list[int] = msgspec.field(default_factory=list)
    dormant: list[int] = msgspec.field(default_factory=list)


def lives(times: list[str], earlier: BitMap, active: Sequence[BitMap]) -> Lifecycle:
    """Of the sets of those active in each bucket, the first of which is only there to be looked
    back at, and of those seen before it.
    """
    found = Lifecycle(times)
    seen = earlier | active[0]
    for before, now in pairwise(active):
        found.new.append(len(now - seen))
        found.returning.append(len(now & before))
        found.resurrecting.append(len((now & seen) - before))
        found.dormant.append(-len(before - now))
        seen = seen | now
    return found


async def answer(query: BucketedQuery, snapshot: Snapshot) -> Lifecycle:
    """New, returning, resurrecting and dormant people of each bucket.

    People are followed from their first event that passes the filters; `from` only chooses the
    buckets shown.
    """
    edges = query.edges(before=1)
    earlier, *active = await actives(query, snapshot, [EVER, *edges[:-1], query.end])
    return lives(query.times(edges[1:]), earlier, active)


QUESTION = Question("/lifecycle", BucketedQuery, answer)
