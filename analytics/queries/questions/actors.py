"""The rows of some actors, found by the indexes on users and sessions, or by reading a range.

Of few names the indexes are the better way, of a large share of all names reading: each name costs
a look into each index of each partition, and planning it. So a person of thousands of names costs
no more than the rows of the range.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Text, and_, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Statement
from analytics.tables import daily_metrics, raw_events

FEW_NAMES, MANY_NAMES = 100, 10_000
"""So many are always looked up; more are never."""

ROWS_A_NAME = 50
"""About so many rows are read in the time that one name is looked up."""


def is_actor(names: Collection[str], *, by_reading: bool = False) -> Condition:
    """Whether the actor of a row is one of these.

    Two comparisons with arrays, so that the indexes can find it; `by_reading` with subqueries,
    which are hashed, and no work for the planner.
    """
    user, session = raw_events.c.user_id, raw_events.c.session_id
    array = literal(list(names), ARRAY(Text))
    if by_reading:
        hashed = select(func.unnest(array).column_valued("name"))
        return or_(user.in_(hashed), and_(user.is_(None), session.in_(hashed)))
    return or_(user == any_(array), and_(user.is_(None), session == any_(array)))


async def better_read(
    snapshot: Snapshot, project: str, names: Collection[str], start: datetime, end: datetime
) -> bool:
    """Whether it is better to read a range than to look up so many names."""
    if FEW_NAMES < len(names) <= MANY_NAMES:
        ((rows,),) = await snapshot.rows(_rows_between(project, start, end))
        return int(rows or 0) < ROWS_A_NAME * len(names)
    return len(names) > MANY_NAMES


def _rows_between(project: str, start: datetime, end: datetime) -> Statement:
    """How many rows a project has on the UTC days of a range."""
    day = daily_metrics.c
    return select(func.sum(day.value)).where(
        day.project == project,
        day.metric_name == "events",
        day.dimension_key == "",
        day.dimension_value == "",
        day.date >= start.astimezone(UTC).date(),
        day.date <= end.astimezone(UTC).date(),
    )
