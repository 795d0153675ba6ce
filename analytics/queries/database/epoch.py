"""The row of the epoch, as an api remembers it for a few seconds."""

import asyncio
import contextlib
import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.epoch import Epoch
from analytics.errors import Unavailable
from analytics.queries.database.snapshot import open_snapshot
from analytics.queue.reader import Reader
from analytics.tables import queue_epoch

FRESH_SECONDS = 5.0
READ_SECONDS = 1.0
"""How long an answer waits for the row."""


class KnownEpoch:
    """The row of `queue_epoch`; read again after FRESH_SECONDS, once for all who ask."""

    def __init__(self, engine: AsyncEngine, queue: Reader) -> None:
        """`engine` is of the primary: a replica may be late."""
        self._engine = engine
        self._queue = queue
        self._row: Epoch | None = None
        self._fresh_until = 0.0
        self._reading = asyncio.Lock()

    async def get(self) -> Epoch | None:
        """The row; an older one while the database does not answer, None if it never did."""
        async with self._reading:
            if time.monotonic() >= self._fresh_until:
                with contextlib.suppress(Unavailable, TimeoutError):
                    async with asyncio.timeout(READ_SECONDS):
                        self._row = await self._read()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
        return self._row

    async def _read(self) -> Epoch | None:
        async with open_snapshot(self._engine, self._queue) as snapshot:
            rows = await snapshot.rows(select(queue_epoch), linked=False)
        return Epoch(**rows[0]._mapping) if rows else None
