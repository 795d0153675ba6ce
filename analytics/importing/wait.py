"""Wait until the events of an import are stored: the books afterwards less the books before."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from redis.asyncio import Redis

from analytics.errors import Unavailable
from analytics.events import Books, Outcome
from analytics.importing.stall import Stall
from analytics.queue import Queue

LOOK_SECONDS = 0.2


class ImportResult(msgspec.Struct, frozen=True):
    """What became of all events since an import began."""

    outcome: Outcome
    others: int
    """How many of them were not events of the import."""


async def wait_until_stored(
    queue: Queue, redis: Redis, before: Books, accepted: int, note: Callable[[str], None]
) -> ImportResult:
    """Wait until no event that is in the queue now is left in it.

    before    the books from before the import
    accepted  the events that the import appended
    note      called with the reason when the wait is long
    """
    seconds, micros = await redis.time()
    last = datetime.fromtimestamp(seconds + micros / 1e6, UTC)
    stall = Stall(note)
    while True:
        try:
            watermark, books = await queue.watermark(), await queue.books()
        except Unavailable as error:
            note(f"waiting: {error.message}")
            await asyncio.sleep(error.retry_after)
            continue
        if books.queued == 0 or watermark > last:
            break
        await stall.pause(books.queued, LOOK_SECONDS)
    outcome = Outcome(
        books.stored - before.stored,
        books.duplicate - before.duplicate,
        books.dead_lettered - before.dead_lettered,
    )
    events = outcome.stored + outcome.duplicate + outcome.dead_lettered
    return ImportResult(outcome, max(0, events - accepted))
