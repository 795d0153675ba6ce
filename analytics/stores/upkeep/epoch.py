"""PostgreSQL's half of the epoch: processors compare it with Redis, and record what was lost.

Whoever compares holds the row's lock while it looks at Redis, so that it sees the mark of this row
and no earlier one. PostgreSQL gets the new mark first. A crash before Redis has it too is no loss:
until Redis was seen to hold a turn, the turn before is good as well.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
from msgspec.structs import replace

from analytics.epoch import POSTGRES_IS_OLDER, Epoch, Mark

log = logging.getLogger(__name__)

Look = Callable[[], Awaitable[tuple[Mark | None, datetime]]]
"""Reads, at one instant, the mark in Redis and the queue's watermark."""

Put = Callable[[Mark | None, Mark], Awaitable[bool]]
"""Puts a mark into Redis, unless it holds another than the one given first; whether it did."""

READ = "SELECT epoch, turn, seen_at, sure_until, lost_from, lost_at, lost_how FROM queue_epoch"

WRITE = """
UPDATE queue_epoch
SET epoch = $1, turn = $2, seen_at = $3, sure_until = $4,
    lost_from = $5, lost_at = $6, lost_how = $7
"""

SEEN = "UPDATE queue_epoch SET seen_at = now() WHERE epoch = $1 AND turn = $2"

ACKNOWLEDGE = "UPDATE queue_epoch SET lost_from = NULL, lost_at = NULL, lost_how = NULL"


async def read(connection: asyncpg.Connection, *, lock: bool = False) -> Epoch:
    """The row. `lock`: nobody else changes it until this transaction ends."""
    row = await connection.fetchrow(f"{READ} FOR UPDATE" if lock else READ)
    return Epoch(**dict(row))


async def compare(connection: asyncpg.Connection, look: Look, put: Put) -> Epoch:
    """Compare the stores and renew the mark that both hold, or record a loss; the row then.

    Several processors may do this at once. Raises what `look` and `put` raise; the next comparison
    goes on from there.
    """
    async with connection.transaction():
        before = await read(connection, lock=True)
        held, watermark = await look()
        how = came_apart(before, held)
        after = _renewed(before, held, watermark) if how is None else _lost(before, how)
        await connection.execute(WRITE, *(getattr(after, name) for name in Epoch.__struct_fields__))
    if how is not None:
        log.error(
            "%s: events acknowledged after %s may be lost; `analytics doctor` says what to do",
            how,
            before.sure_until,
        )
    if await put(held, after.mark):
        await connection.execute(SEEN, *after.mark)
    return after


def came_apart(row: Epoch, held: Mark | None) -> str | None:
    """How the stores came apart, by what Redis held while this row was locked; None: they agree.

    PostgreSQL always gets a mark first, so a later one in Redis says that PostgreSQL forgot it.
    """
    ahead = held is not None and held.turn > row.turn and not row.begins
    return row.broken(held) or (POSTGRES_IS_OLDER if ahead else None)


def _renewed(row: Epoch, held: Mark | None, watermark: datetime) -> Epoch:
    """The row with the mark that Redis is to hold next; the same again if it never got there."""
    turn = row.turn + 1 if held == row.mark else row.turn
    return replace(row, turn=turn, seen_at=None, sure_until=watermark)


def _lost(row: Epoch, how: str) -> Epoch:
    """The row with a loss and a new epoch; an earlier loss that nobody acknowledged stays."""
    if row.lost_from is None:
        row = replace(row, lost_from=row.sure_until, lost_at=datetime.now(UTC), lost_how=how)
    return replace(row, epoch=str(uuid.uuid4()), turn=1, seen_at=None)


async def acknowledge(connection: asyncpg.Connection) -> Epoch:
    """Forget the loss that is recorded, if any; the row as it was."""
    async with connection.transaction():
        before = await read(connection, lock=True)
        await connection.execute(ACKNOWLEDGE)
    return before
