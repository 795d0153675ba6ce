"""The epoch: what PostgreSQL and Redis both hold, so that neither comes back empty unnoticed.

Redis holds the acknowledged events that are not stored yet. A Redis that lost them looks like one
whose queue is empty. So both stores hold a mark, which processors renew every few seconds:
PostgreSQL first, then Redis. A store that comes back without its data, or with older data, has not
the mark that the other expects. From the last moment at which both agreed, acknowledged events may
then be lost. `Epoch` is PostgreSQL's half, one row; `Mark` is what Redis holds.
"""

from datetime import datetime
from typing import NamedTuple

import msgspec

REDIS_IS_OLDER = "Redis came back empty or with older data"
POSTGRES_IS_OLDER = "PostgreSQL came back with older data"
STRANGERS = "Redis and PostgreSQL do not belong together"


class Mark(NamedTuple):
    """An epoch's name, which is random, and how often its mark has been renewed, from 1."""

    epoch: str
    turn: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.turn}"


def read_mark(text: bytes | None) -> Mark | None:
    """The mark that Redis holds; None if it holds none."""
    if text is None:
        return None
    epoch, _, turn = text.decode(errors="replace").rpartition(":")
    return Mark(epoch, int(turn)) if turn.isdecimal() else None


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """The row of `queue_epoch`."""

    epoch: str
    turn: int
    seen_at: datetime | None = None
    """When Redis was seen to hold this turn; None: it may still hold the one before."""
    sure_until: datetime | None = None
    """The queue's watermark when both stores agreed last: what was acknowledged before is stored.

    None only before the first processor has begun.
    """
    lost_from: datetime | None = None
    """Events acknowledged after this may be lost; None: no loss is known that nobody has
    acknowledged.
    """
    lost_at: datetime | None = None
    """When that was found."""
    lost_how: str | None = None
    """What happened to the stores."""

    @property
    def mark(self) -> Mark:
        """What Redis is to hold."""
        return Mark(self.epoch, self.turn)

    @property
    def begins(self) -> bool:
        """Whether Redis was not given this epoch yet, so that it may hold anything."""
        return self.turn == 1 and self.seen_at is None

    def broken(self, held: Mark | None) -> str | None:
        """How the stores came apart, by what Redis held later than this row was read.

        None: they agree. The mark may have been renewed since, so a later turn is no fault.
        """
        if self.begins:
            return None
        least = self.turn if self.seen_at else self.turn - 1
        if held is None or (held.epoch == self.epoch and held.turn < least):
            return REDIS_IS_OLDER
        return STRANGERS if held.epoch != self.epoch else None

    def unsure_since(self, held: Mark | None) -> datetime | None:
        """Since when acknowledged events may be lost, by what Redis held later than this row."""
        return self.lost_from or (self.sure_until if self.broken(held) else None)
