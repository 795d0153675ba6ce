"""Live: how many people are here now, and the events of each of the last minutes."""

from datetime import UTC, datetime, timedelta
from typing import TypedDict

from sqlalchemy import ColumnElement

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import COUNT, USERS, Measure
from analytics.queries.language.query import Query
from analytics.queries.question import Question
from analytics.queries.questions.trends.lines import Groups, Window, lines
from analytics.tables import raw_events

WINDOW_SECONDS = 300
MINUTES = 30


class Now(TypedDict):
    """People of the last `window_s` seconds, and events of each of the last minutes, in order."""

    visitors: int
    window_s: int
    per_minute: list[int]


async def answer(query: Query, snapshot: Snapshot) -> Now:
    """People of the last five minutes, and the events of each of the last 30 minutes.

    Minutes are spans of sixty seconds back from now, the latest last.
    """
    now = datetime.now(UTC)
    minutes = [now - timedelta(minutes=back) for back in range(MINUTES, -1, -1)]
    events = await _buckets(COUNT, query, snapshot, minutes)
    window = [now - timedelta(seconds=WINDOW_SECONDS), now]
    visitors = await _buckets(USERS, query, snapshot, window)
    return {
        "visitors": visitors.get(1, 0),
        "window_s": WINDOW_SECONDS,
        "per_minute": [events.get(bucket, 0) for bucket in range(1, MINUTES + 1)],
    }


async def _buckets(
    measure: Measure, query: Query, snapshot: Snapshot, edges: list[datetime]
) -> dict[int, int]:
    """A measure of each bucket (from 1) that has rows."""
    timestamp = raw_events.c.timestamp
    rows: list[ColumnElement[bool]] = [*query.filters, timestamp >= edges[0], timestamp < edges[-1]]
    statement = lines(measure, Groups(), rows, Window.whole(edges))
    return {row.bucket: row.value for row in await snapshot.rows(statement)}


QUESTION = Question("/live", Query, answer, cacheable=False)
