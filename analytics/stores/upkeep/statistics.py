"""Statistics: tables that changed much are analyzed soon, so that questions get good plans.

PostgreSQL's own autovacuum does it too, but later, and where it is off not at all. Right after a
bulk load, or after the first events of a new project, plans would take a few rows for granted.
"""

import logging
import time

import asyncpg

from analytics import tables

log = logging.getLogger(__name__)

LEAST_ROWS = 1_000
"""Fewer changed rows are no reason."""

SHARE = 0.1
"""This part of a table has changed: then it is analyzed at once."""

MANY_ROWS, PAUSE_MINUTES = 50_000, 10
"""So many rows have changed, though they are a smaller part: then it is, after a pause."""

LEAST_BYTES = 100_000
"""A table that was never analyzed, and is as large as this."""

SECONDS = 10.0
"""How long one run may go on to the next table. One takes a second or so: it reads a sample."""

CHANGED = """
SELECT relid::regclass::text
FROM pg_stat_user_tables AS stat JOIN pg_class ON pg_class.oid = relid
WHERE (
        schemaname = current_schema() AND stat.relname = ANY($1)
        OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'raw_events'::regclass)
    )
    AND (
        reltuples < 0 AND pg_relation_size(relid) >= $6
        OR n_mod_since_analyze >= $2 AND n_mod_since_analyze > $3 * reltuples
        OR n_mod_since_analyze >= $4 AND coalesce(
            greatest(last_analyze, last_autoanalyze) < now() - make_interval(mins => $5), true
        )
    )
ORDER BY n_mod_since_analyze / greatest(reltuples, 1) DESC
"""
"""The worst first. `reltuples` is below 0 until a table is analyzed for the first time."""

NAMES = [name for name in tables.metadata.tables if name != "raw_events"]
"""Of raw_events the partitions or chunks are analyzed, not all of them together."""


async def refresh(connection: asyncpg.Connection, seconds: float = SECONDS) -> None:
    """Analyze the tables that need it, for about so many seconds."""
    until = time.monotonic() + seconds
    asked = NAMES, LEAST_ROWS, SHARE, MANY_ROWS, PAUSE_MINUTES, LEAST_BYTES
    for (name,) in await connection.fetch(CHANGED, *asked):
        try:
            await connection.execute(f"ANALYZE {name}")
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as error:
            log.warning("%s is not analyzed now, which costs speed only: %s", name, error)
        except asyncpg.UndefinedTableError:  # a partition that was just dropped
            pass
        if time.monotonic() > until:
            return
