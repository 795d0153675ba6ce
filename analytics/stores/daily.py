"""Counts per UTC day, kept beside the rows and changed in the same transaction."""

from collections import Counter
from collections.abc import Iterable

import asyncpg

from analytics.events import Event

ADD = """
INSERT INTO daily_metrics AS known (project, date, metric_name, dimension_key, dimension_value, value)
SELECT project, date, 'events', dimension_key, dimension_value, value
FROM unnest($1::varchar[], $2::date[], $3::varchar[], $4::varchar[], $5::bigint[]) AS added (project, date, dimension_key, dimension_value, value)
ORDER BY project, date, dimension_key, dimension_value
ON CONFLICT (project, date, metric_name, dimension_key, dimension_value) DO UPDATE SET value = known.value + excluded.value
"""


async def add(connection: asyncpg.Connection, events: Iterable[Event]) -> None:
    """Count events, in all and by type; sorted, so that two transactions wait for each other but never in a circle."""
    counts: Counter[tuple[str, object, str, str]] = Counter()
    for (project, date, event_type), n in Counter((event.project, event.timestamp.date(), event.event_type) for event in events).items():
        counts[project, date, "", ""] += n
        counts[project, date, "event_type", event_type] += n
    await connection.execute(ADD, *map(list, zip(*counts, strict=True)), list(counts.values()))
