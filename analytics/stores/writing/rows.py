"""Events become rows of raw_events: by COPY where all are new, else by INSERT … ON CONFLICT."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

import asyncpg

from analytics.events import Event, Name, name_of

COLUMNS = (
    "project",
    "id",
    "session_id",
    "user_id",
    "event_type",
    "event_action",
    "metadata",
    "timestamp",
    "created_at",
)

row = attrgetter(*COLUMNS)

INSERT = f"""
INSERT INTO raw_events ({", ".join(COLUMNS)})
SELECT * FROM unnest(
    $1::varchar[], $2::uuid[], $3::varchar[], $4::varchar[], $5::varchar[], $6::varchar[],
    $7::jsonb[], $8::timestamptz[], $9::timestamptz[]
) AS sent ({", ".join(COLUMNS)})
ORDER BY timestamp, project COLLATE "C", id
ON CONFLICT DO NOTHING
RETURNING project, id, timestamp
"""  # noqa: S608 - only our own constants

EventKey = tuple[Name, datetime]
"""The primary key of a row."""


async def copy(connection: asyncpg.Connection, events: Sequence[Event]) -> None:
    """Add events that are all new, the fastest way.

    Raises asyncpg.UniqueViolationError if one is not new.
    """
    await connection.copy_records_to_table("raw_events", columns=COLUMNS, records=map(row, events))


async def insert(connection: asyncpg.Connection, events: Sequence[Event]) -> set[EventKey]:
    """Add the events that are new; returns the keys of the added rows."""
    columns = zip(*map(row, events), strict=True)
    added = await connection.fetch(INSERT, *map(list, columns))
    return {(name_of(key["project"], key["id"]), key["timestamp"]) for key in added}
