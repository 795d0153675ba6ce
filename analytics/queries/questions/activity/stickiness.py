"""Stickiness: in how many buckets of the range people are active."""

import msgspec

from analytics.queries.database.read import Read
from analytics.queries.language.query import Bucketed
from analytics.queries.question import Question
from analytics.queries.questions.activity.actives import actives, times_active


class Stickiness(msgspec.Struct, frozen=True):
    """What is answered: 1 to the number of buckets, and how many people are active in exactly so
    many.
    """

    buckets: list[int]
    users: list[int]


async def answer(asked: Bucketed, read: Read) -> Stickiness:
    """Only rows in the range count, in its first bucket too."""
    edges = asked.edges()
    active = await actives(asked, read, [asked.start, *edges[1:-1], asked.end])
    found = dict(times_active(active))
    buckets = list(range(1, len(edges)))
    return Stickiness(buckets, [found.get(bucket, 0) for bucket in buckets])


QUESTION = Question("/stickiness", Bucketed, answer)
