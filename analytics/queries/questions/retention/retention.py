"""Retention: of the actors who did one thing in a period, how many did another in each period after
it.

What `cohorts.py` needs is one set of actors for each period. Rollups have such sets; of raw rows
PostgreSQL finds the periods in which each actor started and returned, one row an actor.
"""

import asyncio
from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from pyroaring import BitMap
from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.errors import BadRequest
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.database.sums import people
from analytics.queries.language import intervals
from analytics.queries.language.filters import ANY_EVENT, Events, both
from analytics.queries.language.intervals import INTERVALS
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.pieces import EVER
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.question import Question
from analytics.queries.questions.retention import cohorts
from analytics.queries.questions.retention.cohorts import Visits
from analytics.tables import Instant, raw_events

MAX_COUNTS = 200_000
"""Cohorts times periods in one answer."""

BATCH = 10_000
"""Actors in memory at a time, besides the sets."""

EARLIER = 0
"""The bucket of what happened before `from`; that of period p is p + 1."""


class Retention(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/retention`."""

    starting: Events = msgspec.field(default=ANY_EVENT, name="start")
    returning: Events = msgspec.field(default=ANY_EVENT, name="return")
    mode: Literal["first", "recurring"] = "first"
    bound: Literal["on", "after"] = "on"
    period: Literal["day", "week", "month"] = "day"
    periods: Annotated[int, Meta(ge=1, le=1000)] = 7

    @property
    def until(self) -> datetime | None:
        """The end of the last period: until it has begun, its counts are null."""
        return max(self.end, Shape.of(self).edges[-1])


class Shape(msgspec.Struct, frozen=True):
    """The edges of all periods that are looked at, and how many of them are cohorts."""

    edges: Sequence[datetime]
    cohorts: int

    @classmethod
    def of(cls, query: Retention) -> "Shape":
        """Raises BadRequest for too many periods, or periods beyond the year 9999."""
        interval = INTERVALS[query.period]
        try:
            edges = intervals.edges(query.start, query.end, interval, query.tz)
            found = len(edges) - 1
            if found * query.periods > MAX_COUNTS:
                raise BadRequest(
                    f"periods: {found:,} cohorts of {query.periods:,} are too much for one answer",
                    code="too_many_buckets",
                    field="periods",
                )
            for _ in range(query.periods):
                edges.append(interval.after(edges[-1], query.tz))
        except ValueError as error:
            raise BadRequest(f"period: {error}", code="too_many_buckets", field="period") from error
        except OverflowError as error:
            raise BadRequest(
                "periods: a period would begin outside the years 1 to 9999",
                code="bad_parameter",
                field="periods",
            ) from error
        return cls(edges, found)


class Cohort(TypedDict):
    """The people who started in a period: how many, and how many of them came back in each later
    period; null where not known yet.
    """

    start: date
    size: int
    counts: list[int | None]


class Cohorts(TypedDict):
    """The answer of `/api/retention`."""

    cohorts: list[Cohort]


def visits(query: Retention, shape: Shape) -> Statement:
    """The buckets in which each actor `began` and `returned`, as arrays (or null): one row an
    actor.
    """
    timestamp = raw_events.c.timestamp
    begins = [
        query.starting.condition,
        timestamp < query.end,
        *([timestamp >= query.start] if query.mode == "recurring" else []),
    ]
    until = query.end if query.bound == "after" else shape.edges[-1]
    returns = [query.returning.condition, timestamp >= shape.edges[1], timestamp < until]
    bucket = func.width_bucket(timestamp, literal([query.start, *shape.edges[1:]], ARRAY(Instant)))
    rows = select(
        ACTOR.label("actor"),
        bucket.label("bucket"),
        func.bool_or(and_(*begins)).label("begins"),
        func.bool_or(and_(*returns)).label("returns"),
    ).where(*query.filters, timestamp < max(query.end, until), or_(and_(*begins), and_(*returns)))
    row = rows.group_by("actor", "bucket").subquery("rows")
    arrays = (
        func.array_agg(row.c.bucket).filter(row.c[did]).label(did) for did in ("begins", "returns")
    )
    return select(*arrays).group_by(row.c.actor)


async def answer(query: Retention, snapshot: Snapshot) -> Cohorts:
    """One cohort per period that overlaps the range; counts after the watermark are null."""
    shape = Shape.of(query)
    now = snapshot.watermark or datetime.now(UTC)
    rolled = await _rolled(query, snapshot, shape)
    snapshot.sources.add("rollup" if rolled else "raw")
    found = rolled or await _visits(query, snapshot, shape)
    counts = await asyncio.to_thread(cohorts.counts, found, query.mode, query.bound)
    starts = shape.edges[: shape.cohorts]
    return {
        "cohorts": [
            _cohort(query, begins, row, shape.edges[at:], now)
            for at, (begins, row) in enumerate(zip(starts, counts, strict=True))
        ]
    }


def _cohort(
    query: Retention,
    begins: datetime,
    counts: Sequence[int],
    edges: Sequence[datetime],
    now: datetime,
) -> Cohort:
    returned = [
        None if edge > now else count for edge, count in zip(edges[1:], counts[1:], strict=False)
    ]
    return {
        "start": begins.astimezone(query.tz).date(),
        "size": counts[0],
        "counts": [counts[0], *returned],
    }


async def _rolled(query: Retention, snapshot: Snapshot, shape: Shape) -> Visits | None:
    """The sets of actors, if rollups have them: of the two events one by one, each between edges of
    its own.
    """
    starting, returning = (both(query.event, event) for event in (query.starting, query.returning))
    if starting is None or returning is None:
        return None
    rollup = Rollup(snapshot)
    before = [EVER] if query.mode == "first" else []
    started = await rollup.buckets(
        replace(query, event=starting),
        [*before, query.start, *shape.edges[1 : shape.cohorts], query.end],
    )
    if started is None:
        return None
    until = query.end if query.bound == "after" else shape.edges[-1]
    between = [*(edge for edge in shape.edges[1:] if edge < until), until]
    returned = (
        await rollup.buckets(replace(query, event=returning), between) if len(between) > 1 else []
    )
    if returned is None:
        return None
    earlier, *began = [people(bucket) for bucket in (started if before else [{}, *started])]
    beyond = len(shape.edges) - 2 - len(returned)
    return Visits(
        earlier, began, [BitMap(), *map(people, returned), *(BitMap() for _ in range(beyond))]
    )


async def _visits(query: Retention, snapshot: Snapshot, shape: Shape) -> Visits:
    """The sets of actors; these are numbered as they come."""
    began, returned = ([array("I") for _ in shape.edges] for _ in range(2))
    number = 0
    async for batch in await snapshot.batches(visits(query, shape), BATCH):
        await asyncio.to_thread(_sort, batch, number, began, returned)
        number += len(batch)
    sets = [[BitMap(actors) for actors in buckets] for buckets in (began, returned)]
    return Visits(
        sets[0][EARLIER], sets[0][EARLIER + 1 : shape.cohorts + 1], sets[1][EARLIER + 1 :]
    )


def _sort(
    batch: Iterable[Any],
    number: int,
    began: Sequence["array[int]"],
    returned: Sequence["array[int]"],
) -> None:
    for actor, buckets in enumerate(batch, number):
        for sets, found in zip((began, returned), buckets, strict=True):
            for bucket in found or ():
                sets[bucket].append(actor)


QUESTION = Question("/retention", Retention, answer)
