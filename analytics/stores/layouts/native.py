"""Plain PostgreSQL: range partitions of raw_events, made ahead of time and dropped when too old."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from analytics import metrics
from analytics.settings import Settings
from analytics.stores.locks import PARTITIONS

PARTITIONS_AHEAD = 2
"""Partitions that are made before they are needed, after the current one."""

LIST = """
SELECT child.relname AS name,
    substring(bounds from $$FROM \\('([^']*)'\\)$$) AS since,
    substring(bounds from $$TO \\('([^']*)'\\)$$) AS until,
    inhdetachpending AS leaving
FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
CROSS JOIN LATERAL pg_get_expr(child.relpartbound, child.oid) AS bounds
WHERE inhparent = 'raw_events'::regclass AND bounds <> 'DEFAULT'
ORDER BY 2
"""
"""Without a partition that is being dropped, whose bounds are null, and without a DEFAULT one."""

HAS_DEFAULT = (
    "SELECT partdefid <> 0 FROM pg_partitioned_table WHERE partrelid = 'raw_events'::regclass"
)

DETACHED = """
SELECT relname FROM pg_class
WHERE relname LIKE 'raw\\_events\\_p%' AND relkind = 'r' AND NOT relispartition
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'raw_events'::regclass)
    AND obj_description(oid, 'pg_class') = 'expired'
"""
"""Tables that were partitions, are detached, and wait to be dropped."""


class Partition(msgspec.Struct, frozen=True):
    """One partition: its table and its half-open range in UTC.

    `leaving` says that detaching it was interrupted.
    """

    name: str
    since: datetime
    until: datetime
    leaving: bool = False


class NativePartitions:
    """The layout `plain`."""

    name = "plain"

    async def make_room(
        self, connection: asyncpg.Connection, timestamps: Sequence[datetime], settings: Settings
    ) -> None:
        """Make the partitions that rows with these timestamps need.

        None where an operator has made a DEFAULT partition, which takes all rows.
        """
        if not await connection.fetchval(HAS_DEFAULT):
            await self._fill_gaps(connection, timestamps, settings)

    async def horizon(self, connection: asyncpg.Connection, settings: Settings) -> datetime | None:
        """The end of the last partition that `maintain` would drop."""
        limit = datetime.now(UTC) - timedelta(days=settings.retention_days)
        ends = [partition.until for partition in await partitions(connection)]
        expired = max((end for end in ends if end <= limit), default=None)
        return expired if settings.retention_days else None

    async def maintain(self, connection: asyncpg.Connection, settings: Settings) -> None:
        """Make partitions ahead of time, and drop those older than RETENTION_DAYS."""
        now = datetime.now(UTC)
        await self._make_ahead(connection, now, settings)
        if settings.retention_days:
            await self._drop_before(connection, now - timedelta(days=settings.retention_days))
        metrics.partitions_end.set({}, ready_until(await partitions(connection), now).timestamp())

    async def _make_ahead(
        self, connection: asyncpg.Connection, now: datetime, settings: Settings
    ) -> None:
        starts = [now]
        for _ in range(PARTITIONS_AHEAD):
            starts.append(span(starts[-1], monthly=settings.monthly)[1])
        await self._fill_gaps(connection, starts, settings)

    async def _fill_gaps(
        self, connection: asyncpg.Connection, timestamps: Sequence[datetime], settings: Settings
    ) -> None:
        """Make the missing partitions, in a transaction in which nobody else makes any."""
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITIONS)
            existing = await partitions(connection)
            for partition in gaps(existing, timestamps, monthly=settings.monthly):
                await _make(connection, partition)

    async def _drop_before(self, connection: asyncpg.Connection, horizon: datetime) -> None:
        existing = await partitions(connection)
        for partition in sorted(existing, key=lambda partition: not partition.leaving):
            if partition.leaving:
                await connection.execute(
                    f"ALTER TABLE raw_events DETACH PARTITION {partition.name} FINALIZE"
                )
            elif partition.until <= horizon:
                await connection.execute(f"COMMENT ON TABLE {partition.name} IS 'expired'")
                await connection.execute(
                    f"ALTER TABLE raw_events DETACH PARTITION {partition.name} CONCURRENTLY"
                )
        for row in await connection.fetch(DETACHED):
            await connection.execute(f"DROP TABLE {row['relname']}")


async def _make(connection: asyncpg.Connection, partition: Partition) -> None:
    """Make a table and attach it as a partition; unlike PARTITION OF, that lets inserts go on."""
    name, since, until = partition.name, partition.since.isoformat(), partition.until.isoformat()
    await connection.execute(f"CREATE TABLE {name} (LIKE raw_events INCLUDING DEFAULTS)")
    await connection.execute(
        f"ALTER TABLE raw_events ATTACH PARTITION {name} FOR VALUES FROM ('{since}') TO ('{until}')"
    )


async def partitions(connection: asyncpg.Connection) -> list[Partition]:
    """All partitions of raw_events, oldest first."""
    rows = await connection.fetch(LIST)
    return [
        Partition(
            row["name"],
            datetime.fromisoformat(row["since"]),
            datetime.fromisoformat(row["until"]),
            row["leaving"],
        )
        for row in rows
    ]


def span(moment: datetime, *, monthly: bool) -> tuple[datetime, datetime]:
    """The week (from Monday) or month, in UTC, of a partition for `moment` without neighbours."""
    day = _midnight(moment)
    if monthly:
        first = day.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _midnight(moment: datetime) -> datetime:
    """The beginning of a moment's UTC day."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def ready_until(existing: Iterable[Partition], now: datetime) -> datetime:
    """Until when partitions cover the time from now on without a gap; now itself without any."""
    until = now
    for partition in existing:
        if partition.since <= until < partition.until:
            until = partition.until
    return until


def gaps(
    existing: Sequence[Partition], timestamps: Iterable[datetime], *, monthly: bool
) -> list[Partition]:
    """The partitions to be made so that every timestamp has one.

    Each is cut to the gap between its neighbours: weeks and months meet where PARTITION_SPAN has
    changed, and ranges must not overlap. A timestamp at the end of the calendar gets none.
    """
    known = list(existing)
    missing = []
    for day in sorted({_midnight(moment) for moment in timestamps}):
        if any(partition.since <= day < partition.until for partition in known):
            continue
        try:
            since, until = span(day, monthly=monthly)
        except OverflowError:
            continue
        since = max([since, *(partition.until for partition in known if partition.until <= day)])
        until = min([until, *(partition.since for partition in known if partition.since > day)])
        partition = Partition(f"raw_events_p{since:%Y%m%d}", since, until)
        known.append(partition)
        missing.append(partition)
    return missing
