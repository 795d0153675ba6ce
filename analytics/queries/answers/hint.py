"""A hint with an answer that is empty because all events are older than the default range."""

from datetime import UTC, date
from weakref import WeakKeyDictionary

from sqlalchemy import func, select

from analytics.lru import Lru
from analytics.queries.database.memory import Memory
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import Query, RangeQuery
from analytics.queries.language.times import LAST_30_DAYS
from analytics.tables import daily_metrics, raw_events

MAX_PROJECTS = 10_000

_last_days: WeakKeyDictionary[Memory, Lru[str, date]] = WeakKeyDictionary()
"""By project, the last UTC day that was found to have events; no later day needs to be looked for
while that one is in the range.
"""


def last_day(project: str) -> Statement:
    """The last UTC `date` with events: one row, or none."""
    day = daily_metrics.c
    return (
        select(day.date)
        .where(
            day.project == project,
            day.metric_name == "events",
            day.dimension_key == "",
            day.dimension_value == "",
            day.value > 0,
        )
        .order_by(day.date.desc())
        .limit(1)
    )


def ends(project: str) -> Statement:
    """The timestamps of the `first` and the `last` event."""
    timestamp = raw_events.c.timestamp
    both = func.min(timestamp).label("first"), func.max(timestamp).label("last")
    return select(*both).where(raw_events.c.project == project)


async def hint(query: Query, snapshot: Snapshot) -> str | None:
    """Where the events are, for a query about the last 30 days that have none; else None."""
    if not isinstance(query, RangeQuery) or query.last != LAST_30_DAYS:
        return None
    if await _has_events_since(query.start.astimezone(UTC).date(), query.project, snapshot):
        return None
    (row,) = await snapshot.rows(ends(query.project), linked=False)
    if row.first is None or row.last >= query.start:
        return None
    first, last = (moment.astimezone(query.tz).date() for moment in (row.first, row.last))
    return (
        f"no events in the last 30 days; there are some from {first} to {last}: "
        f"ask with from={first}"
    )


async def _has_events_since(start: date, project: str, snapshot: Snapshot) -> bool:
    """Whether a day from `start` on has events; where some come each day, it is known already."""
    last_days = _last_days.setdefault(snapshot.memory, Lru(MAX_PROJECTS))
    known = last_days.get(project)
    if known is not None and known >= start:
        return True
    for row in await snapshot.rows(last_day(project), linked=False):
        last_days.put(project, row.date)
        return bool(row.date >= start)
    return False
