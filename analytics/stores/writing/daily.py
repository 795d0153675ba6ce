"""Counts per UTC day, kept beside the rows and changed in the same transaction."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime

import asyncpg

from analytics.derived.deltas import Delta

ADD = """
INSERT INTO daily_metrics AS known (project, date, metric_name, dimension_key, dimension_value, value)
SELECT project, date, 'events', dimension_key, dimension_value, value
FROM unnest($1::varchar[], $2::date[], $3::varchar[], $4::varchar[], $5::bigint[]) AS added (project, date, dimension_key, dimension_value, value)
ORDER BY project, date, dimension_key, dimension_value
ON CONFLICT (project, date, metric_name, dimension_key, dimension_value) DO UPDATE SET value = known.value + excluded.value
"""


async def add(connection: asyncpg.Connection, deltas: Mapping[str, Delta]) -> None:
    """Count the events of deltas, in all and by type; sorted, so that two transactions wait for
    each other but never in a circle.
    """
    counts: Counter[tuple[str, date, str, str]] = Counter()
    for project, delta in deltas.items():
        for group in delta.groups:
            day = datetime.fromtimestamp(group.hour * 3600, UTC).date()
            counts[project, day, "", ""] += len(group.people)
            counts[project, day, "event_type", group.event_type] += len(group.people)
    if counts:
        await connection.execute(ADD, *map(list, zip(*counts, strict=True)), list(counts.values()))
