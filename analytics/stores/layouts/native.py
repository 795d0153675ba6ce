"""Plain PostgreSQL: native range partitions of raw_events, made before they are needed and dropped
when they are too old.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from analytics import metrics
from analytics.settings import Settings
from analytics.stores.locks import PARTITIONS

AHEAD = 2
"""Partitions that stand ready after the current one."""

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
"""Without one that somebody drops meanwhile, whose bounds are null, and without a DEFAULT one,
which has none.
"""

HAS_DEFAULT = (
    "SELECT partdefid <> 0 FROM pg_partitioned_table WHERE partrelid = 'raw_events'::regclass"
)

LEFT = """
SELECT relname FROM pg_class
WHERE relname LIKE 'raw\\_events\\_p%' AND relkind = 'r' AND NOT relispartition
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'raw_events'::regclass)
    AND obj_description(oid, 'pg_class') = 'expired'
"""


class Partition(msgspec.Struct, frozen=True):
    """One partition: its table and its half-open range in UTC; `leaving` when a drop of it was
    interrupted.
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
        """Make the partitions that rows with these timestamps need: none where somebody has made a
        DEFAULT one, which takes them all.
        """
        if await connection.fetchval(HAS_DEFAULT):
            return
        async with self._making(connection):
            there = await partitions(connection)
            for missing in gaps(there, timestamps, monthly=settings.monthly):
                await _make(connection, missing)

    async def horizon(self, connection: asyncpg.Connection, settings: Settings) -> datetime | None:
        """The end of the last partition that `maintain` would drop."""
        limit = datetime.now(UTC) - timedelta(days=settings.retention_days)
        expired = [
            partition.until
            for partition in await partitions(connection)
            if partition.until <= limit
        ]
        return max(expired, default=None) if settings.retention_days else None

    async def maintain(self, connection: asyncpg.Connection, settings: Settings) -> None:
        """Make partitions ahead of time, drop those that ended before the retention horizon."""
        now = datetime.now(UTC)
        await self._make_ahead(connection, now, settings)
        if settings.retention_days:
            await self._drop_before(connection, now - timedelta(days=settings.retention_days))
        metrics.partitions_end.set({}, ready_until(await partitions(connection), now).timestamp())

    async def _make_ahead(
        self, connection: asyncpg.Connection, now: datetime, settings: Settings
    ) -> None:
        wanted = [now]
        for _ in range(AHEAD):
            wanted.append(span(wanted[-1], monthly=settings.monthly)[1])
        async with self._making(connection):
            there = await partitions(connection)
            for missing in gaps(there, wanted, monthly=settings.monthly):
                await _make(connection, missing)

    async def _drop_before(self, connection: asyncpg.Connection, horizon: datetime) -> None:
        for partition in sorted(
            await partitions(connection), key=lambda partition: not partition.leaving
        ):
            if partition.leaving:
                await connection.execute(
                    f"ALTER TABLE raw_events DETACH PARTITION {partition.name} FINALIZE"
                )
            elif partition.until <= horizon:
                await connection.execute(f"COMMENT ON TABLE {partition.name} IS 'expired'")
                await connection.execute(
                    f"ALTER TABLE raw_events DETACH PARTITION {partition.name} CONCURRENTLY"
                )
        for row in await connection.fetch(LEFT):
            await connection.execute(f"DROP TABLE {row['relname']}")

    @contextlib.asynccontextmanager
    async def _making(self, connection: asyncpg.Connection) -> AsyncIterator[None]:
        """A transaction of its own in which nobody else makes partitions."""
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITIONS)
            yield


async def _make(connection: asyncpg.Connection, partition: Partition) -> None:
    """Make a partition beside the others and attach it, which, unlike PARTITION OF, lets inserts go
    on.
    """
    await connection.execute(f"CREATE TABLE {partition.name} (LIKE raw_events INCLUDING DEFAULTS)")
    await connection.execute(
        f"ALTER TABLE raw_events ATTACH PARTITION {partition.name} FOR VALUES FROM ('{partition.since.isoformat()}') TO ('{partition.until.isoformat()}')"
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
    """The week (from Monday) or month, in UTC, that a partition for `moment` covers when it has no
    neighbours.
    """
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if monthly:
        first = day.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def ready_until(there: Iterable[Partition], now: datetime) -> datetime:
    """The end of the partitions that follow one another without a gap from now on; now itself where
    there is none.
    """
    until = now
    for partition in there:
        if partition.since <= until < partition.until:
            until = partition.until
    return until


def gaps(
    there: Sequence[Partition], timestamps: Iterable[datetime], *, monthly: bool
) -> list[Partition]:
    """The partitions to be made so that every timestamp has one; none for a timestamp at the end of
    the calendar.

    Each is clipped to the gap between its neighbours: where weeks and months meet because the
    setting changed, ranges must not overlap.
    """
    known = list(there)
    missing = []
    for day in sorted(
        {
            moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            for moment in timestamps
        }
    ):
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
