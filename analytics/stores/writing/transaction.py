"""One storing transaction: rows, ledger, counts, dead letters and outcomes change all or none."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate

import asyncpg
import msgspec

from analytics.events import Event, Job, Name, Outcome, name_of
from analytics.stores.faults import FaultKind, classify
from analytics.stores.writing import daily, dead_letters, ledger, people, rows, stored_jobs
from analytics.stores.writing.recorder import Recorder, names_of


class Written(msgspec.Struct, frozen=True):
    """The outcomes of jobs, in their order, and the events that became rows."""

    outcomes: list[Outcome]
    stored: list[Event]


async def store(
    connection: asyncpg.Connection, jobs: Sequence[Job], recorder: Recorder, *, careful: bool
) -> Written:
    """Commit jobs in one transaction. Read the steps below to know what happens to an event.

    The first try takes no care: a row that exists already, or that the database refuses, ends the
    transaction with an error. With `careful`, savepoints single such events out, and they count as
    duplicates and dead letters.

    Every step takes its locks in the order of sorted keys, so there is no deadlock. The rows that
    all transactions change come last, so waits are short.
    """
    async with connection.transaction():
        turn = await ledger.hold_turn(connection)
        done = await stored_jobs.recorded(connection, [job.id for job in jobs])
        storing = Storing(connection, turn.slot, jobs, done, careful)
        storing.drop_repeated()
        await storing.drop_remembered()
        await storing.refuse_unnumbered()
        await storing.insert_rows()
        await storing.bury_poison()
        await storing.remove_replayed()
        await storing.record_jobs()
        recorded = await recorder.record(connection, storing.stored(), epoch=turn.epoch)
        await daily.add(connection, recorded.deltas)
    recorder.committed(recorded)
    return Written([storing.outcomes[job.id] for job in jobs], storing.stored())


class Storing:
    """The events of jobs that are not stored yet, by position.

    `left` holds the positions of the events still to be stored. The others are duplicates or
    poison: events that the database refuses.
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
        """Keep the first event of a client's id that appears more than once in the storing."""
        seen: set[Name] = set()
        repeated = []
        for position, event in enumerate(self.events):
            if event.named:
                name = name_of(event.project, event.id)
                if name in seen or (event.former and name_of(event.project, event.former) in seen):
                    repeated.append(position)
                seen.add(name)
        self._drop(repeated)

    async def drop_remembered(self) -> None:
        """Drop events whose ids the ledger holds, and write the other ids into it.

        Those events were stored before, perhaps with another timestamp.
        """
        named = [position for position in self.left if self.events[position].named]
        if not named:
            return
        known = await ledger.known(self.connection, [*self._ids(named), *self._formers(named)])
        if known:
            repeated = {position for position in named if self._in(known, position)}
            self._drop(sorted(repeated))
            named = [position for position in named if position not in repeated]
        if named and self.careful:
            await self._attempt(self._remember, named)
        elif named:
            await ledger.copy(self.connection, self.slot, self._ids(named))

    async def _remember(self, positions: list[int]) -> None:
        fresh = await ledger.insert(self.connection, self.slot, self._ids(positions))
        self._drop(
            [position for position in positions if name_of(*self._id(position)) not in fresh]
        )

    async def _forget(self, positions: list[int]) -> None:
        """Remove the ids of dead letters from the ledger, so that a replay finds them new."""
        if positions:
            await ledger.forget(self.connection, self.slot, self._ids(positions))

    async def refuse_unnumbered(self) -> None:
        """Make poison of events whose people cannot get a number, where numbers run out."""
        if not self.careful:
            return
        projects: defaultdict[str, list[int]] = defaultdict(list)
        for position in self.left:
            projects[self.events[position].project].append(position)
        for project, positions in sorted(projects.items()):
            names = [names_of(self.events[position]) for position in positions]
            indexes = await people.without_number(self.connection, project, names)
            unnumbered = [positions[index] for index in indexes]
            gone = {*unnumbered}
            self.poison += [(position, people.NoNumberLeft(project)) for position in unnumbered]
            self.left = [position for position in self.left if position not in gone]
            await self._forget([position for position in unnumbered if self.events[position].named])

    async def insert_rows(self) -> None:
        """Insert the events that are left, in the order of their partitions.

        The primary key finds repeats of ids that the ledger does not hold.
        """
        if not self.left:
            return
        self.left.sort(key=self._order)
        if self.careful:
            before = len(self.poison)
            await self._attempt(self._insert, list(self.left))
            refused = [position for position, _ in self.poison[before:]]
            await self._forget([position for position in refused if self.events[position].named])
        else:
            await rows.copy(self.connection, self.stored())

    async def bury_poison(self) -> None:
        """Make dead letters of the events that the database refuses."""
        if self.poison:
            letters = [
                (self._job(position).id, self.events[position], error)
                for position, error in self.poison
            ]
            await dead_letters.insert(self.connection, letters)

    async def remove_replayed(self) -> None:
        """Delete the dead letters that these jobs replay.

        Each event of them is a row, a duplicate or a new dead letter by now.
        """
        replayed = sorted(number for job in self.jobs for number in job.replays)
        if replayed:
            await self.connection.execute(dead_letters.REMOVE, replayed)

    async def record_jobs(self) -> None:
        """Store each job's outcome, in case the queue delivers the job again."""
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
        """The events that are left: rows, once all steps are done."""
        return [self.events[position] for position in self.left]

    async def _insert(self, positions: list[int]) -> None:
        fresh = await rows.insert(
            self.connection, [self.events[position] for position in positions]
        )
        known = []
        for position in positions:
            event = self.events[position]
            key = (name_of(event.project, event.id), event.timestamp)
            if key in fresh:
                fresh.remove(key)
            else:
                known.append(position)
        self._drop(known)

    async def _attempt(
        self, act: Callable[[list[int]], Awaitable[None]], positions: list[int]
    ) -> None:
        """Do something to all positions at once; on poison, to each half, down to single events."""
        try:
            async with self.connection.transaction():
                await act(positions)
        except Exception as error:
            if classify(error) not in (FaultKind.POISON, FaultKind.NO_PARTITION):
                raise
            if len(positions) == 1:
                self.poison.append((positions[0], error))
                self.left.remove(positions[0])
            else:
                middle = len(positions) // 2
                await self._attempt(act, positions[:middle])
                await self._attempt(act, positions[middle:])

    def _drop(self, positions: list[int]) -> None:
        """Count positions as duplicates, and take them out of `left`."""
        if positions:
            self.duplicates += positions
            gone = set(positions)
            self.left = [position for position in self.left if position not in gone]

    def _ids(self, positions: Sequence[int]) -> list[ledger.ClientId]:
        return [self._id(position) for position in positions]

    def _id(self, position: int) -> ledger.ClientId:
        return self.events[position].project, self.events[position].id

    def _formers(self, positions: Sequence[int]) -> list[ledger.ClientId]:
        """The ids under which an earlier release may have stored some of the events."""
        events = (self.events[position] for position in positions)
        return [(event.project, event.former) for event in events if event.former is not None]

    def _in(self, known: set[Name], position: int) -> bool:
        """Whether an event is among known ids, by its own or by its former one."""
        ids = [self._id(position), *self._formers([position])]
        return any(name_of(*id_) in known for id_ in ids)

    def _order(self, position: int) -> tuple[object, ...]:
        """The order of rows in which all transactions take their locks."""
        event = self.events[position]
        return (event.timestamp, event.project, event.id.int)

    def _index(self, position: int) -> int:
        """The index in `jobs` of the job that an event belongs to."""
        return bisect_right(self.ends, position)

    def _job(self, position: int) -> Job:
        return self.jobs[self._index(position)]
