"""Until when a replica's answers are complete.

The watermark says what the primary has stored. A replica shows that once it has replayed the
write-ahead log up to where the primary's ended when the watermark was read; until then, it is
complete up to an earlier watermark, whose place in the log it has passed.
"""

import asyncio
import time
from collections import deque
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import Unavailable
from analytics.queries.database.snapshot import open_snapshot
from analytics.queries.language.measures import Statement
from analytics.queue.reader import Horizon, Reader

CATCH_UP_SECONDS = 0.25
"""How long a question waits for the replica to be as far as the primary."""

POLL_SECONDS = 0.01
REMEMBERED = 1_000

_START: ColumnElement[Any] = literal_column("'0/0'::pg_lsn")

FLUSHED = select(func.pg_wal_lsn_diff(func.pg_current_wal_flush_lsn(), _START))
"""Where the log ends that a replica can get: whatever was committed before is in it."""

REPLAYED = select(
    func.pg_wal_lsn_diff(func.coalesce(func.pg_last_wal_replay_lsn(), _START), _START)
)
"""0 on a server that is no replica, so that nothing is promised of it."""


class Mark(NamedTuple):
    """What the primary had stored, and the place in its log where it had."""

    place: int
    horizon: Horizon


class Replica:
    """The way from the primary's horizon to that of its replica."""

    def __init__(self, primary: AsyncEngine, replica: AsyncEngine, queue: Reader) -> None:
        self._primary = primary
        self._replica = replica
        self._queue = queue
        self._marks: deque[Mark] = deque(maxlen=REMEMBERED)

    async def horizon(self, horizon: Horizon | None) -> Horizon | None:
        """What a snapshot of the replica taken after this is complete up to; None if that cannot be
        told. Raises Unavailable when the replica is down.
        """
        newest = await self._mark(horizon) if horizon is not None else None
        if newest is not None:
            self._marks.append(newest)
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while True:
            replayed = await self._place(self._replica, REPLAYED)
            reached = [mark for mark in self._marks if mark.place <= replayed]
            if len(reached) == len(self._marks) or time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        if not reached:
            return None
        latest = reached[-1]
        return Horizon(
            latest.horizon.watermark,
            waiting=latest.horizon.waiting or newest is None or newest.place > replayed,
        )

    async def _mark(self, horizon: Horizon) -> Mark | None:
        """None while the primary is down: then the marks of earlier have to do."""
        try:
            return Mark(await self._place(self._primary, FLUSHED), horizon)
        except Unavailable:
            return None

    async def _place(self, engine: AsyncEngine, statement: Statement) -> int:
        async with open_snapshot(engine, self._queue) as snapshot:
            return int((await snapshot.rows(statement))[0][0])
