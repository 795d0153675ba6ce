"""One storing transaction: rows, ledger, counts, dead letters and the jobs' outcomes change
together or not at all.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate

import asyncpg
import msgspec

from analytics.events import Event, Job, Outcome
from analytics.stores.faults import Verdict, judge
from analytics.stores.writing import daily, dead_letters, ledger, rows, stored_jobs
from analytics.stores.writing.recorder import Recorder


class Written(msgspec.Struct, frozen=True):
    """What became of jobs, in their order, and the events that are rows now and were not before."""

    outcomes: list[Outcome]
    stored: list[Event]


async def store(
    connection: asyncpg.Connection, jobs: Sequence[Job], recorder: Recorder, *, careful: bool
) -> Written:
    """Commit jobs in one transaction; read this list to know what happens to an event.

    At first no care is taken: a row that is there already or that the database refuses ends the
    transaction with an error. With `careful`, such events are told apart, under savepoints, and are
    counted as duplicates and dead letters.

    Every step takes its locks in one order, by sorted keys, and the rows that all transactions
    change come last: no deadlock, short waits.
    """
    async with connection.transaction():
        slot = await ledger.hold_turn(connection)
        batch = Batch(
            connection,
            slot,
            jobs,
            await stored_jobs.recorded(connection, [job.id for job in jobs]),
            careful,
        )
        batch.drop_repeated()
        await batch.drop_remembered()
        await batch.insert_rows()
        await batch.bury_poison()
        await batch.remove_replayed()
        await batch.record_jobs()
        recorded = await recorder.record(connection, batch.stored())
        await daily.add(connection, recorded.deltas)
    recorder.committed(recorded.people)
    return Written([batch.outcomes[job.id] for job in jobs], batch.stored())


class Batch:
    """The events of jobs that are not recorded yet, by position; `left` holds the positions that
    are still on their way to be rows.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        slot: int,
        jobs: Sequence[Job],
        recorded: dict[str, Outcome],
        careful: bool,
    ) -> None:
        self.connection = connection
        self.slot = slot
        self.careful = careful
        self.outcomes = dict(recorded)
        self.jobs = list({job.id: job for job in jobs if job.id not in recorded}.values())
        self.ends = list(accumulate(len(job.events) for job in self.jobs))
        self.events = [event for job in self.jobs for event in job.events]
        self.left = list(range(len(self.events)))
        self.duplicates: list[int] = []
        self.poison: list[tuple[int, BaseException]] = []

    def drop_repeated(self) -> None:
        """Of a client's id that comes more than once in the batch, the first event stays."""
        seen: set[tuple[str, int]] = set()
        repeated = []
        for position, event in enumerate(self.events):
            if event.named:
                name = (event.project, event.id.int)
                if name in seen:
                    repeated.append(position)
                seen.add(name)
        self._drop(repeated)

    async def drop_remembered(self) -> None:
        """Events whose ids the ledger holds were stored before, whatever their timestamp; the other
        ids are written into it.
        """
        named = [position for position in self.left if self.events[position].named]
        if not named:
            return
        known = await ledger.known(self.connection, self._names(named))
        if known:
            self._drop([position for position in named if self._name(position) in known])
            named = [position for position in named if self._name(position) not in known]
        if named and self.careful:
            await self._attempt(self._remember, named)
        elif named:
            await ledger.copy(self.connection, self.slot, self._names(named))

    async def _remember(self, positions: list[int]) -> None:
        fresh = await ledger.insert(self.connection, self.slot, self._names(positions))
        self._drop([position for position in positions if self._name(position) not in fresh])

    async def _forget(self, positions: list[int]) -> None:
        """Take the ids of dead letters out of the ledger, so that a replay finds them new."""
        if positions:
            await ledger.forget(self.connection, self.slot, self._names(positions))

    async def insert_rows(self) -> None:
        """Make rows of what is left, in the order of their partitions; the primary key finds
        repeats of ids that the ledger does not hold.
        """
        if not self.left:
            return
        self.left.sort(key=self._place)
        if self.careful:
            before = len(self.poison)
            await self._attempt(self._insert, list(self.left))
            await self._forget(
                [position for position, _ in self.poison[before:] if self.events[position].named]
            )
        else:
            await rows.copy(self.connection, self.stored())

    async def bury_poison(self) -> None:
        """Put aside what the database refuses, with its reason."""
        if self.poison:
            letters = [
                (self._job(position).id, self.events[position], error)
                for position, error in self.poison
            ]
            await dead_letters.insert(self.connection, letters)

    async def remove_replayed(self) -> None:
        """Delete the dead letters that these jobs tried again: each is a row, a duplicate or a new
        dead letter now.
        """
        replayed = sorted(number for job in self.jobs for number in job.replays)
        if replayed:
            await self.connection.execute(dead_letters.REMOVE, replayed)

    async def record_jobs(self) -> None:
        """Write down each job's outcome for the case that the queue hands it out again."""
        duplicate = Counter(self._index(position) for position in self.duplicates)
        dead = Counter(self._index(position) for position, _ in self.poison)
        fresh = {
            job.id: Outcome(
                len(job.events) - duplicate[index] - dead[index], duplicate[index], dead[index]
            )
            for index, job in enumerate(self.jobs)
        }
        if fresh:
            await stored_jobs.record(self.connection, fresh)
        self.outcomes |= fresh

    def stored(self) -> list[Event]:
        """The events that are left."""
        return [self.events[position] for position in self.left]

    async def _insert(self, positions: list[int]) -> None:
        fresh = await rows.insert(
            self.connection, [self.events[position] for position in positions]
        )
        known = []
        for position in positions:
            event = self.events[position]
            key = (event.project, event.id, event.timestamp)
            if key in fresh:
                fresh.remove(key)
            else:
                known.append(position)
        self._drop(known)

    async def _attempt(
        self, act: Callable[[list[int]], Awaitable[None]], positions: list[int]
    ) -> None:
        """Do it to all positions at once; halve them on poison until the single offenders are
        known.
        """
        try:
            async with self.connection.transaction():
                await act(positions)
        except Exception as error:
            if judge(error) not in (Verdict.POISON, Verdict.NO_PARTITION):
                raise
            if len(positions) == 1:
                self.poison.append((positions[0], error))
                self.left.remove(positions[0])
            else:
                middle = len(positions) // 2
                await self._attempt(act, positions[:middle])
                await self._attempt(act, positions[middle:])

    def _drop(self, positions: list[int]) -> None:
        """Take duplicates out."""
        if positions:
            self.duplicates += positions
            gone = set(positions)
            self.left = [position for position in self.left if position not in gone]

    def _names(self, positions: Sequence[int]) -> list[ledger.Name]:
        return [self._name(position) for position in positions]

    def _name(self, position: int) -> ledger.Name:
        return self.events[position].project, self.events[position].id

    def _place(self, position: int) -> tuple[object, ...]:
        event = self.events[position]
        return (event.timestamp, event.project, event.id.int)

    def _index(self, position: int) -> int:
        return bisect_right(self.ends, position)

    def _job(self, position: int) -> Job:
        return self.jobs[self._index(position)]
