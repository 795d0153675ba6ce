"""The people active in each bucket, as one set a bucket.

The sets come from rollups where these cover the query, else from raw rows. For raw rows PostgreSQL
numbers the people as it finds them, and sends for each bucket the numbers of those active in it.
"""

from collections.abc import Sequence
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
from analytics.queries.precomputed.pieces import FIRST_EVENT
from analytics.queries.precomputed.rollup import Rollup
from analytics.tables import Instant, raw_events


def actors_by_bucket(conditions: Sequence[Condition], edges: Sequence[datetime]) -> Statement:
    """`bucket` (from 1; 0 is before the first edge) and its `actors`, where there are any.

    Actors are numbers of four bytes each, given by this statement alone.
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
    active = func.unnest(actor.c.buckets).table_valued("bucket").render_derived("active")
    packed = func.string_agg(
        func.int4send(cast(actor.c.number, Integer)), literal(b"", LargeBinary)
    )
    return (
        select(active.c.bucket, packed.label("actors"))
        .select_from(actor.join(active, true()))
        .group_by(active.c.bucket)
    )


async def actives(
    query: FilteredQuery, snapshot: Snapshot, edges: Sequence[datetime]
) -> list[BitMap]:
    """The people with events that pass the filters, as a set between each two edges.

    The query's own range is ignored; the first edge may be FIRST_EVENT. Numbers in the sets mean
    nothing outside this answer.
    """
    buckets = await Rollup(snapshot).buckets(query, edges)
    snapshot.sources.add("raw" if buckets is None else "rollup")
    if buckets is not None:
        return [people(bucket) for bucket in buckets]
    first, *inner, last = edges
    conditions = [*query.filters, *_between(first, last)]
    sets = [BitMap() for _ in edges[1:]]
    # One row at a time: each has all actors of a bucket.
    async for batch in await snapshot.batches(actors_by_bucket(conditions, inner), 1):
        for row in batch:
            sets[row.bucket] = BitMap(numbers(row.actors))
    return sets


def _between(start: datetime, end: datetime) -> list[Condition]:
    timestamp = raw_events.c.timestamp
    return [*([timestamp >= start] if start > FIRST_EVENT else []), timestamp < end]
