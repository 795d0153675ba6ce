"""Retention: of the actors who did one thing in a period, how many did another in later periods.

`cohorts.py` needs one set of actors for each period. Rollups have such sets. For raw rows
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
from analytics.queries.database.sums import Bucket, people
from analytics.queries.language import intervals
from analytics.queries.language.filters import ANY_EVENT, EventFilter, both
from analytics.queries.language.intervals import INTERVALS
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.pieces import FIRST_EVENT
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.question import Question
from analytics.queries.questions.retention import cohorts
from analytics.queries.questions.retention.cohorts import PeriodActors
from analytics.tables import Instant, raw_events

MAX_COUNTS = 200_000
"""Cohorts times periods in one answer."""

ACTORS_AT_ONCE = 10_000
"""Actors in memory at a time, besides the sets."""

EARLIER = 0
"""The bucket of events before `from`. The bucket of period p is p + 1."""


class Retention(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/retention`."""

    starting: EventFilter = msgspec.field(default=ANY_EVENT, name="start")
    returning: EventFilter = msgspec.field(default=ANY_EVENT, name="return")
    mode: Literal["first", "recurring"] = "first"
    bound: Literal["on", "after"] = "on"
    period: Literal["day", "week", "month"] = "day"
    periods: Annotated[int, Meta(ge=1, le=1000)] = 7

    @property
    def until(self) -> datetime | None:
        """The end of the last period: until it has begun, its counts are null."""
        return max(self.end, Periods.of(self).edges[-1])


class Periods(msgspec.Struct, frozen=True):
    """The edges of all periods that are looked at, and how many of these are cohorts."""

    edges: Sequence[datetime]
    cohorts: int

    @classmethod
    def of(cls, query: Retention) -> "Periods":
        """Raises BadRequest for too many periods, or periods beyond the year 9999."""
        interval = INTERVALS[query.period]
        try:
            edges = intervals.edges(query.start, query.end, interval, query.tz)
            cohorts, periods = len(edges) - 1, query.periods
            if cohorts * periods > MAX_COUNTS:
                raise BadRequest(
                    f"periods: {cohorts:,} cohorts of {periods:,} are too much for one answer",
                    code="too_many_buckets",
                    field="periods",
                )
            for _ in range(periods):
                edges.append(interval.after(edges[-1], query.tz))
        except ValueError as error:
            raise BadRequest(f"period: {error}", code="too_many_buckets", field="period") from error
        except OverflowError as error:
            raise BadRequest(
                "periods: a period would begin outside the years 1 to 9999",
                code="bad_parameter",
                field="periods",
            ) from error
        return cls(edges, cohorts)

    def until(self, query: Retention) -> datetime:
        """Up to when return events count: with `after`, to the end of the range."""
        return query.end if query.bound == "after" else self.edges[-1]


class Cohort(TypedDict):
    """The people who started in a period, and how many of them came back in each later one.

    `counts` begins with the size; a count that is not known yet is null.
    """

    start: date
    size: int
    counts: list[int | None]


class Cohorts(TypedDict):
    """The answer of `/api/retention`."""

    cohorts: list[Cohort]


def buckets_of_actors(query: Retention, periods: Periods) -> Statement:
    """One row an actor: the buckets in which they started (`begins`) and came back (`returns`).

    Both are arrays, or null.
    """
    timestamp, until = raw_events.c.timestamp, periods.until(query)
    begins = [
        query.starting.condition,
        timestamp < query.end,
        *([timestamp >= query.start] if query.mode == "recurring" else []),
    ]
    returns = [query.returning.condition, timestamp >= periods.edges[1], timestamp < until]
    bucket = func.width_bucket(
        timestamp, literal([query.start, *periods.edges[1:]], ARRAY(Instant))
    )
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
    """One cohort for each period that overlaps the range.

    A count is null if its period begins after the watermark.
    """
    periods = Periods.of(query)
    now = snapshot.watermark or datetime.now(UTC)
    actors = await _from_rollups(query, snapshot, periods)
    snapshot.sources.add("rollup" if actors else "raw")
    if actors is None:
        actors = await _from_raw_rows(query, snapshot, periods)
    counts = await asyncio.to_thread(cohorts.counts, actors, query.mode, query.bound)
    starts = periods.edges[: periods.cohorts]
    return {
        "cohorts": [
            _cohort(query, start, row, periods.edges[at + 1 :], now)
            for at, (start, row) in enumerate(zip(starts, counts, strict=True))
        ]
    }


def _cohort(
    query: Retention,
    start: datetime,
    counts: Sequence[int],
    later: Sequence[datetime],
    now: datetime,
) -> Cohort:
    """A cohort of `counts`: its size, then who came back in each later period, which start then."""
    size, *returned = counts
    known = [
        None if period > now else count for period, count in zip(later, returned, strict=False)
    ]
    return {
        "start": start.astimezone(query.tz).date(),
        "size": size,
        "counts": [size, *known],
    }


async def _from_rollups(
    query: Retention, snapshot: Snapshot, periods: Periods
) -> PeriodActors | None:
    """The sets of actors from rollups; None where these cannot answer.

    Two reads, of the start and of the return event, each between edges of its own.
    """
    starting, returning = (both(query.event, event) for event in (query.starting, query.returning))
    if starting is None or returning is None:
        return None
    rollup = Rollup(snapshot)
    edges = [query.start, *periods.edges[1 : periods.cohorts], query.end]
    if query.mode == "first":
        edges.insert(0, FIRST_EVENT)
    started = await rollup.buckets(replace(query, event=starting), edges)
    if started is None:
        return None
    until = periods.until(query)
    edges = [*(edge for edge in periods.edges[1:] if edge < until), until]
    returned: Sequence[Bucket] | None = []
    if len(edges) > 1:
        returned = await rollup.buckets(replace(query, event=returning), edges)
    if returned is None:
        return None
    earlier = people(started[0]) if query.mode == "first" else BitMap()
    cohorts_ = [people(bucket) for bucket in started[-periods.cohorts :]]
    # Return events are not looked for in the first cohort's own period, nor after the last edge.
    beyond = len(periods.edges) - 2 - len(returned)
    came_back = [BitMap(), *map(people, returned), *(BitMap() for _ in range(beyond))]
    return PeriodActors(earlier, cohorts_, came_back)


async def _from_raw_rows(query: Retention, snapshot: Snapshot, periods: Periods) -> PeriodActors:
    """The sets of actors from raw rows; actors are numbered as they come."""
    began, returned = ([array("I") for _ in periods.edges] for _ in range(2))
    number = 0
    statement = buckets_of_actors(query, periods)
    async for batch in await snapshot.batches(statement, ACTORS_AT_ONCE):
        await asyncio.to_thread(_sort, batch, number, began, returned)
        number += len(batch)
    started, came_back = ([BitMap(actors) for actors in sets] for sets in (began, returned))
    return PeriodActors(
        started[EARLIER],
        started[EARLIER + 1 : periods.cohorts + 1],
        came_back[EARLIER + 1 :],
    )


def _sort(
    batch: Iterable[Any],
    number: int,
    began: Sequence["array[int]"],
    returned: Sequence["array[int]"],
) -> None:
    """Add the actors of a batch, numbered from `number` on, to the lists of their buckets."""
    for actor, columns in enumerate(batch, number):
        for lists, buckets in zip((began, returned), columns, strict=True):
            for bucket in buckets or ():
                lists[bucket].append(actor)


QUESTION = Question("/retention", Retention, answer)
