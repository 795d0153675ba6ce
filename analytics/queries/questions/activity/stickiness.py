"""Stickiness: in how many buckets of the range people are active."""

import msgspec

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.query import BucketedQuery
from analytics.queries.question import Question
from analytics.queries.questions.activity.actives import actives, times_active


class Stickiness(msgspec.Struct, frozen=True):
    """The answer of `/api/stickiness`: 1 to the number of buckets, and how many people were active
    in exactly that many.
    """

    buckets: list[int]
    users: list[int]


async def answer(query: BucketedQuery, snapshot: Snapshot) -> Stickiness:
    """How many people were active in exactly 1, 2, 3, … buckets of the range.

    Only rows in the range count, in its first bucket too.
    """
    edges = query.edges()
    active = await actives(query, snapshot, [query.start, *edges[1:-1], query.end])
    found = dict(times_active(active))
    buckets = list(range(1, len(edges)))
    return Stickiness(buckets, [found.get(bucket, 0) for bucket in buckets])


QUESTION = Question("/stickiness", BucketedQuery, answer)
