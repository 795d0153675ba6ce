"""Suspects: jobs that share no transaction, because one with them failed.

So a job at fault fails alone, and the others are stored meanwhile. Only jobs that are in work at
the same time hide behind each other, and once.
"""

from collections.abc import Iterable

from analytics.lru import Lru

MAX_SUSPECTS = 10_000

SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
"""How much of the time limit a suspect gets, at its first try alone and at later ones.

A job that only shared a transaction with the one at fault needs little, and waits for a place.
"""


class Suspects:
    """The suspects that a processor knows, each with how often it has failed alone."""

    def __init__(self) -> None:
        self._failures: Lru[str, int] = Lru(MAX_SUSPECTS)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._failures

    def accuse(self, job_ids: Iterable[str]) -> None:
        """A transaction with these jobs failed: they run alone from now on."""
        for job_id in job_ids:
            if job_id not in self._failures:
                self._failures.put(job_id, 0)

    def share(self, job_id: str) -> float:
        """Which share of the time limit a job gets at its next try."""
        return SHARES[min(self._failures.get(job_id) or 0, len(SHARES) - 1)]

    def failed(self, job_id: str) -> int:
        """Note that a job failed alone; returns how often it did so with all of the time limit."""
        failures = (self._failures.get(job_id) or 0) + 1
        self._failures.put(job_id, failures)
        return failures - len(SHARES) + 1

    def acquit(self, job_ids: Iterable[str]) -> None:
        """These jobs are stored."""
        for job_id in job_ids:
            self._failures.drop(job_id)
