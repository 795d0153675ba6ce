"""Up to when answers from a replica are complete.

The watermark says what the primary has stored. The replica has the same once it has replayed the
write-ahead log (WAL) up to where the primary's ended when the watermark was read. Until then the
replica is complete up to an earlier watermark, whose position in the WAL it has passed.
"""

import asyncio
import time
from collections import deque
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import Unavailable
from analytics.lru import Lru
from analytics.queries.database.snapshot import open_snapshot
from analytics.queries.language.measures import Statement
from analytics.queue.reader import Horizon, Reader

CATCH_UP_SECONDS = 0.25
"""How long a query waits for the replica to catch up with the primary."""

POLL_SECONDS = 0.01
MAX_POSITIONS = 1_000
MAX_PROJECTS = 100
"""Positions of a project, and projects, that are remembered."""

_START: ColumnElement[Any] = literal_column("'0/0'::pg_lsn")

FLUSHED = select(func.pg_wal_lsn_diff(func.pg_current_wal_flush_lsn(), _START))
"""The end of the primary's WAL that a replica can get: all that was committed before is in it."""

REPLAYED = select(
    func.pg_wal_lsn_diff(func.coalesce(func.pg_last_wal_replay_lsn(), _START), _START)
)
"""0 on a server that is no replica, so that nothing is promised of it."""


class WalPosition(NamedTuple):
    """A position in the primary's WAL, in bytes, and what the primary had stored there."""

    offset_bytes: int
    horizon: Horizon


class Replica:
    """From the primary's horizon to the replica's."""

    def __init__(self, primary: AsyncEngine, replica: AsyncEngine, queue: Reader) -> None:
        self._primary = primary
        self._replica = replica
        self._queue = queue
        self._positions: Lru[str, deque[WalPosition]] = Lru(MAX_PROJECTS)

    async def horizon(self, horizon: Horizon | None, project: str = "") -> Horizon | None:
        """Up to when a snapshot of the replica taken after this is complete; None: unknown.

        `horizon` is the primary's for a project. Raises Unavailable if the replica is down.
        """
        positions = self._positions.get(project)
        if positions is None:
            positions = deque(maxlen=MAX_POSITIONS)
            self._positions.put(project, positions)
        newest = await self._position(horizon) if horizon is not None else None
        if newest is not None:
            positions.append(newest)
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while True:
            replayed = await self._read(self._replica, REPLAYED)
            reached = [position for position in positions if position.offset_bytes <= replayed]
            if len(reached) == len(positions) or time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        if not reached:
            return None
        latest = reached[-1].horizon
        behind = newest is None or newest.offset_bytes > replayed
        return Horizon(latest.watermark, waiting=latest.waiting or behind)

    async def _position(self, horizon: Horizon) -> WalPosition | None:
        """None while the primary is down: then the positions read before have to do."""
        try:
            return WalPosition(await self._read(self._primary, FLUSHED), horizon)
        except Unavailable:
            return None

    async def _read(self, engine: AsyncEngine, statement: Statement) -> int:
        async with open_snapshot(engine, self._queue) as snapshot:
            return int((await snapshot.rows(statement))[0][0])
