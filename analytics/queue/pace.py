"""How fast a processor stores: the size of its transactions, and its pauses after failures."""

import asyncio
import random

MAX_TRANSACTION_EVENTS = 5_000
"""The most events of one transaction; a single larger job is a transaction of its own.

A larger transaction makes an event no cheaper. And a poison event makes the store do the whole
transaction again with care, so a larger one would cost more then.
"""

MAX_TRANSACTION_BYTES = 8 * 1024 * 1024
"""The most bytes of one transaction, as the queue holds its jobs; a single larger job is alone.

5,000 events of 1.6 kB fill it; most are smaller.
"""

GROWTH = 4
"""For each transaction already open, this many times more events must wait to begin another.

The transactions share the database's cores, so a small one beside them gains no time. It would cost
a round trip for each of its statements, and a commit.
"""

SHRINK, REGROW = 4, 1.25
"""How the size limit of transactions changes.

It is divided by SHRINK after a time-out or a failure of the store, and multiplied by REGROW after a
commit. However slow the database is, some size is small enough to commit in time. The limit grows
slowly, because each failure costs the whole time limit.
"""

BACKOFF_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 15.0


def backoff(attempt: int) -> float:
    """Seconds before the next attempt, after `attempt` failures (1 and up).

    They double with each failure up to a cap, and are random within the upper half.
    """
    most = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 10))
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - to spread, not to hide


class Pace:
    """The size of transactions, made smaller and larger by how they end."""

    def __init__(self, batch_size: int) -> None:
        """`batch_size` waiting events are enough for a transaction when none is open."""
        self._batch_size = batch_size
        self._limit = MAX_TRANSACTION_EVENTS
        self._failures = 0
        self._resume_at = 0.0

    @property
    def pausing(self) -> bool:
        """Whether the store failed just now; hand in no further jobs meanwhile."""
        return asyncio.get_running_loop().time() < self._resume_at

    @property
    def limit(self) -> int:
        """Events of a full transaction."""
        return self._limit

    @property
    def limit_bytes(self) -> int:
        """Bytes of a full transaction; they shrink and grow with the limit of events."""
        return MAX_TRANSACTION_BYTES * self._limit // MAX_TRANSACTION_EVENTS

    def enough(self, open_transactions: int) -> int:
        """How many waiting events make a full transaction; more for each one open already."""
        enough: int = self._batch_size * GROWTH**open_transactions
        return min(self._limit, enough)

    def committed(self) -> None:
        """A transaction was stored."""
        self._failures = 0
        self._limit = min(MAX_TRANSACTION_EVENTS, int(self._limit * REGROW) + 1)

    def pause(self) -> None:
        """A transaction was not: pause, and try smaller ones."""
        self._failures += 1
        self._limit = max(1, self._limit // SHRINK)
        self._resume_at = asyncio.get_running_loop().time() + backoff(self._failures)
