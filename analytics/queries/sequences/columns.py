"""Days of columns with one numbering of names, and the threads that work on them.

`packed_days.py` loads the days.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple, TypeVar

import numpy as np

from analytics.derived.arrays import Array
from analytics.derived.instants import DAY_US, EPOCH, HOUR_US, MICROSECOND
from analytics.derived.packed_day import Day, EventName
from analytics.errors import Unavailable
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import EventFilter

NAME_FIELDS = {"event_type": 0, "event_action": 1}
"""Fields that are part of every name, with their places in it."""

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 2
_workers = ThreadPoolExecutor(THREADS, "questions")
_threads = ThreadPoolExecutor(THREADS, "columns")
"""Shared by all questions, so that they never take more of the machine."""


class ClippedDay(NamedTuple):
    """A day, and the range of it that counts."""

    day: Day
    since_us: int
    until_us: int
    """Microseconds since 1970; rows count from `since_us` to before `until_us`."""
    codes: Array
    """For each of the day's names its code, which is the same on all days."""

    @property
    def whole(self) -> bool:
        """Whether all of the day is in the range."""
        begin = self.day.start * HOUR_US
        return self.since_us <= begin and begin + DAY_US <= self.until_us

    def includes_all(self, included: Array) -> bool:
        """Whether all rows are in the range and of included names."""
        return self.whole and bool(included[self.codes].all())

    def mask(self, included: Array, rows: slice | Array, at: Array) -> Array:
        """Which of some rows, at these instants, are in the range and of included names."""
        mask: Array = included[self.codes][self.day.codes[rows]]
        return mask if self.whole else mask & (at >= self.since_us) & (at < self.until_us)

    def rows(self, included: Array) -> slice | Array:
        """The rows that are in the range and of included names."""
        every = slice(0, self.day.rows)
        if self.includes_all(included):
            return every
        return np.flatnonzero(self.mask(included, every, self.day.times(every)))


class Columns:
    """The days of a range that have rows, oldest first.

    `names` numbers the names of all days: a name's code is its place there. `links` says which
    actors are one person. Work picks names by a mask `included`: a boolean for each code.
    """

    _abandoned = False
    """Whether the request was cancelled, so that nobody waits for the answer any more."""

    def __init__(
        self, days: Iterable[Day], since: datetime, until: datetime, snapshot: Snapshot
    ) -> None:
        code_of: dict[EventName, int] = {}
        edges_us = epoch_us(since), epoch_us(until)
        filled = [day for day in days if day.rows]
        codes = [[code_of.setdefault(name, len(code_of)) for name in day.names] for day in filled]
        narrow = np.min_scalar_type(len(code_of))
        self.days = [
            ClippedDay(day, *edges_us, np.array(codes_, narrow))
            for day, codes_ in zip(filled, codes, strict=True)
        ]
        self.names = list(code_of)
        self.links = snapshot.links
        self._check_time = snapshot.check_time

    async def work(self, compute: Callable[[], Result]) -> Result:
        """Compute something of the columns in a thread.

        If the request is cancelled, `each` stops at its next item.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(_workers, compute)
        except asyncio.CancelledError:
            self._abandoned = True
            raise

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Apply a function to each item, in two threads.

        Only as many items as there are threads are handed over at a time, so that a small question
        is not queued behind all items of a large one. Raises Unavailable if the question's time is
        over, or if nobody waits for its answer.
        """

        def timely(item: Item) -> Result:
            if self._abandoned:
                raise Unavailable("nobody waits for the answer any more", code="too_slow")
            self._check_time()
            return function(item)

        results: list[Result] = []
        running: deque[Future[Result]] = deque()
        try:
            for item in items:
                if len(running) == THREADS:
                    results.append(running.popleft().result())
                running.append(_threads.submit(timely, item))
            return [*results, *(future.result() for future in running)]
        finally:
            for future in running:
                future.cancel()

    def values(self, field: Field | None) -> list[str | None]:
        """What a field holds in the rows of each name.

        The field is the one the days were loaded by, or one that is part of every name.
        """
        place = -1 if field is None else NAME_FIELDS.get(field.column, -1)
        return [name[place] for name in self.names]

    def matching(self, events: EventFilter) -> Array:
        """Whether rows of each name match: a boolean for each code."""
        return np.array([events.match(type_, action) for type_, action, _ in self.names], bool)


def epoch_us(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND
