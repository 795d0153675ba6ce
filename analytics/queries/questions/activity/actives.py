"""Actives: who was active in which bucket, as one set of actors for each.

What is computed of such sets (`lifecycle.py`, `stickiness.py`) does not ask where they come from:
from rollups, where they cover the question, or from raw rows. Of these PostgreSQL numbers the
actors as it finds them, and sends for each bucket the numbers of those who were active in it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pyroaring import BitMap
from sqlalchemy import Integer, LargeBinary, cast, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.database.sums import numbers, people
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.pieces import EVER
from analytics.queries.precomputed.rollup import Rollup
from analytics.tables import Instant, raw_events


def visits(conditions: Sequence[Condition], edges: Sequence[datetime]) -> Statement:
    """`bucket` (from 1; 0 is before the first edge) and `actors`, their numbers as four bytes each,
    where anybody was active.
    """
    bucket = func.width_bucket(raw_events.c.timestamp, literal(list(edges), ARRAY(Instant)))
    pair = (
        select(ACTOR.label("actor"), bucket.label("bucket"))
        .where(*conditions)
        .distinct()
        .subquery("pairs")
    )
    actor = (
        select(
            func.row_number().over().label("number"), func.array_agg(pair.c.bucket).label("buckets")
        )
        .group_by(pair.c.actor)
        .subquery("actors")
    )
    visited = func.unnest(actor.c.buckets).table_valued("bucket").render_derived("visited")
    sent = func.string_agg(func.int4send(cast(actor.c.number, Integer)), literal(b"", LargeBinary))
    return (
        select(visited.c.bucket, sent.label("actors"))
        .select_from(actor.join(visited, true()))
        .group_by(visited.c.bucket)
    )


async def actives(
    query: FilteredQuery, snapshot: Snapshot, edges: Sequence[datetime]
) -> list[BitMap]:
    """The set of those who were active between each two edges, of whom pass the filters; the first
    edge may be EVER.
    """
    rolled = await Rollup(snapshot).buckets(query, edges)
    snapshot.sources.add("raw" if rolled is None else "rollup")
    if rolled is not None:
        return [people(bucket) for bucket in rolled]
    first, *inner, last = edges
    found = [BitMap() for _ in edges[1:]]
    async for batch in await snapshot.batches(
        visits([*query.filters, *_between(first, last)], inner), 1
    ):
        for row in batch:
            found[row.bucket] = BitMap(numbers(row.actors))
    return found


def _between(start: datetime, end: datetime) -> list[Condition]:
    timestamp = raw_events.c.timestamp
    return [*([timestamp >= start] if start > EVER else []), timestamp < end]


def times_active(sets: Sequence[BitMap]) -> Iterator[tuple[int, int]]:
    """Each number of sets that somebody is in, and how many are in exactly so many.

    The numbers are kept for all actors at once, as binary digits: a set for each digit, of those
    whose number has it. To count one more set is to add 1 to the numbers of its members, with a
    carry from digit to digit.
    """
    digits: list[BitMap] = []
    for carry in sets:
        for at, digit in enumerate(digits):
            digits[at], carry = digit ^ carry, digit & carry
        if carry:
            digits.append(carry)
    groups = {0: BitMap.union(*sets)} if digits else {}
    for digit in reversed(digits):
        halves = (
            (2 * number + has, members & digit if has else members - digit)
            for number, members in groups.items()
            for has in (0, 1)
        )
        groups = {number: members for number, members in halves if members}
    return ((number, len(members)) for number, members in groups.items())
