"""Counts per UTC day, changed in the transaction that stores the rows."""

from collections import Counter
from collections.abc import Mapping
from datetime import date

import asyncpg

from analytics.derived.deltas import Delta
from analytics.derived.instants import instant

ADD = """
INSERT INTO daily_metrics AS known
    (project, date, metric_name, dimension_key, dimension_value, value)
SELECT project, date, 'events', dimension_key, dimension_value, value
FROM unnest($1::varchar[], $2::date[], $3::varchar[], $4::varchar[], $5::bigint[])
    AS added (project, date, dimension_key, dimension_value, value)
ORDER BY project, date, dimension_key, dimension_value
ON CONFLICT (project, date, metric_name, dimension_key, dimension_value)
DO UPDATE SET value = known.value + excluded.value
"""


async def add(connection: asyncpg.Connection, deltas: Mapping[str, Delta]) -> None:
    """Count the events of deltas, in total and by type.

    The rows are sorted, so two transactions may wait for each other but never deadlock.
    """
    counts: Counter[tuple[str, date, str, str]] = Counter()
    for project, delta in deltas.items():
        for group in delta.groups:
            day = instant(group.hour).date()
            counts[project, day, "", ""] += len(group.people)
            counts[project, day, "event_type", group.event_type] += len(group.people)
    if counts:
        await connection.execute(ADD, *map(list, zip(*counts, strict=True)), list(counts.values()))
