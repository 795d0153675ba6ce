"""The jobs that a processor has claimed: those in work, and those to give back."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from analytics.queue import pace, scripts

MAX_JOBS = 200
"""Jobs in work at once: many more than transactions, so that small jobs can be merged."""

MAX_TRANSACTIONS_AHEAD = 2
"""How many full transactions the jobs in work may fill: one in the database, one to follow it.

A processor that takes more keeps it from the others.
"""

MAX_CLAIMED_BYTES = MAX_TRANSACTIONS_AHEAD * pace.MAX_TRANSACTION_BYTES
"""Bytes of the jobs in work, as Redis holds them; a single larger job is in work alone.

A process needs about five times as much for them: bodies, events, and what is sent to PostgreSQL.
"""


class Room(NamedTuple):
    """How much more may be claimed."""

    jobs: int
    events: int
    size_bytes: int


class Claim(NamedTuple):
    """A job in work."""

    deadline: float
    """Until when it must be settled, by the loop's clock."""
    size_bytes: int
    """Of its body."""


class Claims:
    """What one processor holds of the queue."""

    def __init__(self) -> None:
        self._in_work: dict[str, Claim] = {}
        self._settled: set[str] = set()  # those in work that are settled; their tasks end next
        self._pauses: dict[str, float] = {}  # jobs to give back → seconds until their next try

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._in_work

    def __getitem__(self, job_id: str) -> Claim:
        return self._in_work[job_id]

    def __len__(self) -> int:
        return len(self._in_work)

    def room(self, is_suspect: Callable[[str], bool]) -> Room | None:
        """How much more may be claimed; None for nothing.

        Suspects take no room from the others, however many they are.
        """
        batch = pace.MAX_TRANSACTION_EVENTS
        in_work = [job_id for job_id in self._in_work if not is_suspect(job_id)]
        events = sum(min(scripts.count_events(job_id), batch) for job_id in in_work)
        room = Room(
            MAX_JOBS - len(in_work),
            MAX_TRANSACTIONS_AHEAD * batch - events,
            MAX_CLAIMED_BYTES - sum(self._in_work[job_id].size_bytes for job_id in in_work),
        )
        return room if room.jobs > 0 and room.events > 0 else None

    def add(self, job_id: str, claim: Claim) -> None:
        """A job is in work from now on."""
        self._in_work[job_id] = claim

    def settle(self, job_ids: Iterable[str]) -> None:
        """These jobs are out of the queue, as far as they are in work here."""
        self._settled.update(job_id for job_id in job_ids if job_id in self._in_work)

    def retry(self, job_id: str, seconds: float) -> None:
        """Give a job back once its work has ended, to be tried again after a pause."""
        self._pauses[job_id] = seconds

    def end(self, job_id: str, seconds: float) -> None:
        """The work on a job is over. One that is not settled is given back.

        It pauses for `seconds`, unless `retry` said otherwise.
        """
        del self._in_work[job_id]
        if job_id in self._settled:
            self._settled.remove(job_id)
            self._pauses.pop(job_id, None)
        else:
            self._pauses.setdefault(job_id, seconds)

    def to_give_back(self) -> Mapping[str, float]:
        """Jobs → seconds until their next try."""
        return dict(self._pauses)

    def given_back(self, job_ids: Iterable[str]) -> None:
        """Redis has taken these jobs back."""
        for job_id in job_ids:
            self._pauses.pop(job_id, None)
