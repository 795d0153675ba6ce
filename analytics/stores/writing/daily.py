"""Counts per UTC day, changed in the transaction that stores the rows.

Of each project and day there is the total, and a row for each type up to MAX_TYPES. Events of other
types are counted together, so that the rows of types always add up to the total.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date

import asyncpg

from analytics.derived.deltas import Delta
from analytics.derived.instants import instant

MAX_TYPES = 1000
"""Types of a project and day that have a row of their own: those that came first."""

TOTAL, TYPE = "", "event_type"
"""What a row counts (`dimension_key`): all events, or those of the type in `dimension_value`."""

REST = ""
"""In place of a type: all types without a row of their own."""

ADD = """
INSERT INTO daily_metrics AS known
    (project, date, metric_name, dimension_key, dimension_value, value)
SELECT project, date, 'events', dimension_key, dimension_value, value
FROM unnest($1::varchar[], $2::date[], $3::varchar[], $4::varchar[], $5::bigint[])
    AS added (project, date, dimension_key, dimension_value, value)
WHERE $6 OR dimension_key = '' OR EXISTS (
    SELECT FROM daily_metrics AS there
    WHERE there.project = added.project AND there.date = added.date
        AND there.metric_name = 'events' AND there.dimension_key = added.dimension_key
        AND there.dimension_value = added.dimension_value
)
ORDER BY project, date, dimension_key, dimension_value
ON CONFLICT (project, date, metric_name, dimension_key, dimension_value)
DO UPDATE SET value = known.value + excluded.value
RETURNING project, date, dimension_key, dimension_value
"""

TYPES = """
SELECT project, date, count(*) FILTER (WHERE dimension_value <> '') AS types,
    array_agg(dimension_value) FILTER (WHERE dimension_value = ANY($3)) AS there
FROM daily_metrics
JOIN unnest($1::varchar[], $2::date[]) AS days (project, date) USING (project, date)
WHERE metric_name = 'events' AND dimension_key = 'event_type'
GROUP BY project, date
"""

Place = tuple[str, date, str, str]
"""Of a row: project, day, `dimension_key` and `dimension_value`."""


async def add(connection: asyncpg.Connection, deltas: Mapping[str, Delta]) -> None:
    """Count the events of deltas, in total and by type.

    The rows are sorted, so two transactions may wait for each other but never deadlock. The total
    of a day comes first. So who has counted it alone decides which types get a row, until commit.
    """
    counts: Counter[Place] = Counter()
    for project, delta in deltas.items():
        for group in delta.groups:
            day = instant(group.hour).date()
            counts[project, day, TOTAL, ""] += len(group.people)
            counts[project, day, TYPE, group.event_type] += len(group.people)
    if not counts:
        return
    for place in await _add(connection, counts, new=False):
        del counts[place]
    if counts:
        await _add(connection, await _with_rest(connection, counts), new=True)


async def _add(
    connection: asyncpg.Connection, counts: Mapping[Place, int], *, new: bool
) -> list[Place]:
    """Add to totals and to the rows of types, those that are not there only if `new`; which."""
    columns = map(list, zip(*counts, strict=True))
    return [tuple(row) for row in await connection.fetch(ADD, *columns, [*counts.values()], new)]


async def _with_rest(
    connection: asyncpg.Connection, counts: Mapping[Place, int]
) -> Mapping[Place, int]:
    """Counts of types without a row, those for which there is no room added up as the rest."""
    days = {place[:2] for place in counts}
    types = [type_ for *_, type_ in counts]
    found = await connection.fetch(TYPES, *map(list, zip(*days, strict=True)), types)
    room: defaultdict[tuple[str, date], int] = defaultdict(lambda: MAX_TYPES)
    there: set[Place] = set()
    for project, day, rows, known in found:
        room[project, day] -= rows
        there.update((project, day, TYPE, type_) for type_ in known or ())
    sums: Counter[Place] = Counter()
    for place, count in sorted(counts.items()):
        project, day, _, type_ = place
        if place not in there:
            room[project, day] -= 1
            type_ = type_ if room[project, day] >= 0 else REST
        sums[project, day, TYPE, type_] += count
    return sums
