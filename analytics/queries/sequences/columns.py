"""Columns: the rows of a question's range as days of columns, and what is made of them in threads.
`packed.py` finds the days.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

import numpy as np

from analytics.derived.arrays import Array
from analytics.derived.instants import DAY_US, HOUR_US
from analytics.derived.packed_day import Day, EventName
from analytics.errors import Unavailable
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Events

NAMES = {"event_type": 0, "event_action": 1}
"""The fields that are part of every name."""

S = TypeVar("S")
T = TypeVar("T")

THREADS = 2
_workers = ThreadPoolExecutor(THREADS, "questions")
_threads = ThreadPoolExecutor(THREADS, "columns")
"""For all questions together, so that they never take more of the machine."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Part(NamedTuple):
    """A day, and the range of it that counts, in microseconds since 1970; `codes` are the columns'
    numbers of the day's names.
    """

    day: Day
    since: int
    until: int
    codes: Array

    @property
    def whole(self) -> bool:
        """Whether all of the day is in the range."""
        begin = self.day.start * HOUR_US
        return self.since <= begin and begin + DAY_US <= self.until

    def all_of(self, wanted: Array) -> bool:
        """Whether all rows are in the range, and of names that are wanted."""
        return self.whole and bool(wanted[self.codes].all())

    def counts(self, wanted: Array, rows: slice | Array, at: Array) -> Array:
        """Which of some rows are in the range, and of names that are wanted."""
        kept: Array = wanted[self.codes][self.day.codes[rows]]
        return kept if self.whole else kept & (at >= self.since) & (at < self.until)

    def kept(self, wanted: Array) -> slice | Array:
        """The rows that are in the range, and of names that are wanted."""
        every = slice(0, self.day.rows)
        return (
            every
            if self.all_of(wanted)
            else np.flatnonzero(self.counts(wanted, every, self.day.times(every)))
        )


class Columns:
    """The days that have rows, oldest first, with one numbering of all their names, and who is
    whom.
    """

    _left = False
    """Whether nobody waits for the answer any more."""

    def __init__(
        self, days: Iterable[Day], since: datetime, until: datetime, snapshot: Snapshot
    ) -> None:
        numbers: dict[EventName, int] = {}
        edges = microseconds(since), microseconds(until)
        some = [day for day in days if day.rows]
        codes = [[numbers.setdefault(name, len(numbers)) for name in day.names] for day in some]
        narrow = np.min_scalar_type(len(numbers))
        self.parts = [
            Part(day, *edges, np.array(of, narrow)) for day, of in zip(some, codes, strict=True)
        ]
        self.names = list(numbers)
        self.links = snapshot.links
        self._look_at_the_time = snapshot.check_time

    async def work(self, what: Callable[[], T]) -> T:
        """What it makes of the columns, in a thread; none of it goes on for long once nobody waits
        for it.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(_workers, what)
        except asyncio.CancelledError:
            self._left = True
            raise

    def each(self, work: Callable[[S], T], over: Iterable[S]) -> list[T]:
        """What `work` makes of each, in two threads, for as long as the question has time. Raises
        Unavailable once that is over.

        No more of it than there are threads waits for them at a time, so that who has little to do
        is not behind all of somebody else's.
        """

        def timely(one: S) -> T:
            if self._left:
                raise Unavailable("nobody waits for the answer any more", code="too_slow")
            self._look_at_the_time()
            return work(one)

        found: list[T] = []
        running: deque[Future[T]] = deque()
        try:
            for one in over:
                if len(running) == THREADS:
                    found.append(running.popleft().result())
                running.append(_threads.submit(timely, one))
            return [*found, *(each.result() for each in running)]
        finally:
            for each in running:
                each.cancel()

    def values(self, field: Field | None) -> list[str | None]:
        """What rows of each name hold in the field that they were loaded by, or in one that is part
        of every name.
        """
        place = -1 if field is None else NAMES.get(field.column, -1)
        return [name[place] for name in self.names]

    def passing(self, events: Events) -> Array:
        """Whether rows of each name match."""
        return np.array([events.match(type_, action) for type_, action, _ in self.names], bool)


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - EPOCH) // MICROSECOND
