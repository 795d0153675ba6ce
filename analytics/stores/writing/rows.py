"""Rows of raw_events from events: by COPY where all of them are new, by INSERT … ON CONFLICT where
some may not be.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from uuid import UUID

import asyncpg

from analytics.events import Event

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

INSERT = """
INSERT INTO raw_events (project, id, session_id, user_id, event_type, event_action, metadata, timestamp, created_at)
SELECT * FROM unnest(
    $1::varchar[], $2::uuid[], $3::varchar[], $4::varchar[], $5::varchar[], $6::varchar[], $7::jsonb[], $8::timestamptz[], $9::timestamptz[]
) AS sent (project, id, session_id, user_id, event_type, event_action, metadata, timestamp, created_at)
ORDER BY timestamp, project COLLATE "C", id
ON CONFLICT DO NOTHING
RETURNING project, id, timestamp
"""

Key = tuple[str, UUID, datetime]
"""The primary key of a row."""


async def copy(connection: asyncpg.Connection, events: Sequence[Event]) -> None:
    """Add events that are all new, the quickest way; raises asyncpg.UniqueViolationError if one is
    not.
    """
    await connection.copy_records_to_table("raw_events", columns=COLUMNS, records=map(row, events))


async def insert(connection: asyncpg.Connection, events: Sequence[Event]) -> set[Key]:
    """Add the events that are new; the keys of those rows."""
    columns = zip(*map(row, events), strict=True)
    return {
        (found["project"], found["id"], found["timestamp"])
        for found in await connection.fetch(INSERT, *map(list, columns))
    }
