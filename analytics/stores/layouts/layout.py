"""The layouts that raw_events can have, and which one a database has."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import asyncpg

from analytics.errors import TransientStoreError
from analytics.settings import Settings
from analytics.stores.layouts.native import NativePartitions
from analytics.stores.layouts.timescale import TimescaleApache, TimescaleCommunity


class Layout(Protocol):
    """What differs between the layouts; all other SQL is the same."""

    name: str

    async def make_room(
        self, connection: asyncpg.Connection, timestamps: Sequence[datetime], settings: Settings
    ) -> None:
        """Make what must exist before rows with these timestamps can be inserted.

        May run in several processors at once.
        """

    async def horizon(self, connection: asyncpg.Connection, settings: Settings) -> datetime | None:
        """The end of the rows that are about to be dropped for their age; None where none are."""

    async def maintain(self, connection: asyncpg.Connection, settings: Settings) -> None:
        """Bring partitions, chunks and policies in line with the settings.

        Runs in one processor at a time, outside a transaction.
        """


LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (NativePartitions(), TimescaleCommunity(), TimescaleApache())
}

NAME = """
SELECT CASE
    WHEN relkind = 'p' THEN 'plain'
    WHEN current_setting('timescaledb.license', true) = 'apache' THEN 'timescale-apache'
    ELSE 'timescale'
END
FROM pg_class WHERE oid = to_regclass('raw_events')
"""


async def detect(connection: asyncpg.Connection) -> Layout:
    """The layout of raw_events. Raises TransientStoreError when the table does not exist yet."""
    name: str | None = await connection.fetchval(NAME)
    if name is None:
        raise TransientStoreError("the database has no tables yet: run `analytics migrate`")
    return LAYOUTS[name]
