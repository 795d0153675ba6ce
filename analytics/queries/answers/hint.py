"""A hint with an answer that is empty because all events are older than the default range."""

from datetime import UTC, datetime

from sqlalchemy import func, select

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import Query, RangeQuery
from analytics.queries.language.times import LAST_30_DAYS
from analytics.tables import daily_metrics, raw_events


def days_since(project: str, instant: datetime) -> Statement:
    """The UTC days with events since an instant: one row, or none."""
    day = daily_metrics.c
    return (
        select(day.date)
        .where(
            day.project == project,
            day.date >= instant.astimezone(UTC).date(),
            day.metric_name == "events",
            day.dimension_key == "",
            day.dimension_value == "",
            day.value > 0,
        )
        .limit(1)
    )


def ends(project: str) -> Statement:
    """The timestamps of the `first` and the `last` event."""
    timestamp = raw_events.c.timestamp
    both = func.min(timestamp).label("first"), func.max(timestamp).label("last")
    return select(*both).where(raw_events.c.project == project)


async def hint(query: Query, snapshot: Snapshot) -> str | None:
    """Where the events are, for a query about the last 30 days that have none; else None.

    It costs the usual query one look at the counts of days.
    """
    if not isinstance(query, RangeQuery) or query.last != LAST_30_DAYS:
        return None
    if await snapshot.rows(days_since(query.project, query.start), linked=False):
        return None
    (row,) = await snapshot.rows(ends(query.project), linked=False)
    if row.first is None or row.last >= query.start:
        return None
    first, last = (moment.astimezone(query.tz).date() for moment in (row.first, row.last))
    return (
        f"no events in the last 30 days; there are some from {first} to {last}: "
        f"ask with from={first}"
    )
