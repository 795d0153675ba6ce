"""Visits: the sessions of a range, put together from stretches of rows, of which packed days know
the ends: rows are looked at where that is not enough.

A stay is a stretch of the rows of one person in one session, in one bucket and of one group,
whatever lies between them. Sessions that are told are known by what they tell. Of the others, a
person's stays are one session until there is silence for too long (`units.py`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analytics.derived.arrays import Array, distinct, positions_of_runs, runs
from analytics.derived.instants import SILENCE_US
from analytics.queries.sequences.columns import Columns, Part


class Stays(NamedTuple):
    """Columns, all as long, day by day; without buckets and groups, in the order of the rows that
    count. All are 32 bits wide but the instants.
    """

    day: Array
    """Which of the parts."""
    session: Array
    """A number of its own for each session."""
    person: Array
    bucket: Array
    """Between which edges, from 1."""
    group: Array
    first: Array
    last: Array
    """int64: microseconds since 1970."""
    rows: Array


def stays(
    columns: Columns, wanted: Array, edges: Array | None = None, group: Array | None = None
) -> Stays:
    """Of the rows whose names are wanted; by name, `group` says which one they are of."""
    numbers, told = numbered([part.day.sessions[1:] for part in columns.parts])

    def of(at: int) -> Stays:
        part = columns.parts[at]
        visit, found = _Day(
            part, wanted, np.zeros(0, np.int64) if edges is None else edges, group
        ).stays()
        person = np.searchsorted(part.day.offsets, part.day.visit_offsets[visit], side="right") - 1
        who = columns.links.persons(part.day.persons)[person]
        return found._replace(
            day=np.full(len(visit), at, np.int32),
            session=numbers[at][part.day.visits[visit]],
            person=who,
        )

    every = _joined(columns.each(of, range(len(columns.parts))))
    untold = np.flatnonzero(every.session == 0)
    every.session[untold] = told + _by_silence(
        every.person[untold], every.first[untold], every.last[untold]
    )
    return every


def numbered(told: Sequence[Array]) -> tuple[list[Array], int]:
    """For each day's sessions, of which each is there once, and ascending: numbers, 0 first for
    what tells none, the same on all days; and the last number.
    """
    every = np.sort(np.concatenate([*told, np.zeros(0, np.uint64)]))
    again = distinct(every[1:][every[1:] == every[:-1]])
    found, before = [], len(again)
    for sessions in told:
        numbers = np.arange(before, before + len(sessions) + 1, dtype=np.int32)
        numbers[0] = 0
        if len(again):
            places = np.minimum(np.searchsorted(again, sessions), len(again) - 1)
            numbers[1:] = np.where(again[places] == sessions, places + 1, numbers[1:])
        found.append(numbers)
        before += len(sessions)
    return found, before


class _Day:
    """The stays of a day, each with the visit that it is of; day, session and person are left to
    whoever knows all days.
    """

    def __init__(self, part: Part, wanted: Array, edges: Array, group: Array | None) -> None:
        self._part = part
        self._wanted = wanted
        self._edges = edges
        self._group = group

    def stays(self) -> tuple[Array, Stays]:
        """Visits are stays as they are, where all rows count and no edge of a bucket parts them."""
        day, visits = self._part.day, np.arange(len(self._part.day.visits))
        if self._group is not None or not self._part.all_of(self._wanted):
            return self._looked_at(np.arange(day.rows), visits)
        first, last = (
            day.times(day.visit_offsets[:-1]),
            day.times(day.visit_offsets[1:] - np.uint32(1)),
        )
        bucket, lengths = self._bucket(first), np.diff(day.visit_offsets)
        parted = bucket != self._bucket(last)
        if not parted.any():
            return visits, _stays(bucket, np.zeros(len(visits), np.int64), first, last, lengths)
        whole = _stays(bucket, np.zeros(len(visits), np.int64), first, last, lengths, kept=~parted)
        visit, others = self._looked_at(
            positions_of_runs(day.visit_offsets[:-1][parted], lengths[parted]), visits[parted]
        )
        return np.append(visits[~parted], visit), _joined([whole, others])

    def _looked_at(self, rows: Array, visits: Array) -> tuple[Array, Stays]:
        """The stays of some visits, of which these are all rows."""
        day = self._part.day
        visit, at = np.repeat(visits, np.diff(day.visit_offsets)[visits]), day.times(rows)
        kept = self._part.counts(self._wanted, rows, at)
        rows, visit, at = rows[kept], visit[kept], at[kept]
        bucket = self._bucket(at)
        group = (
            np.zeros(len(rows), np.int64)
            if self._group is None
            else self._group[self._part.codes[day.codes[rows]]]
        )
        silent = np.append(0, np.cumsum((np.diff(at) > SILENCE_US) & (day.visits[visit[1:]] == 0)))[
            : len(rows)
        ]
        firsts = runs(visit, bucket, group, silent)
        lengths = np.diff(np.append(firsts, len(rows)))
        return visit[firsts], _stays(
            bucket[firsts], group[firsts], at[firsts], at[firsts + lengths - 1], lengths
        )

    def _bucket(self, at: Array) -> Array:
        return np.searchsorted(self._edges, at, side="right")


def _stays(
    bucket: Array,
    group: Array,
    first: Array,
    last: Array,
    rows: Array,
    kept: Array | slice = slice(None),
) -> Stays:
    nothing = np.zeros(len(bucket), np.int32)
    bucket, group, rows = (column.astype(np.int32) for column in (bucket, group, rows))
    return Stays(
        *(column[kept] for column in (nothing, nothing, nothing, bucket, group, first, last, rows))
    )


def _joined(several: Sequence[Stays]) -> Stays:
    return (
        Stays(*map(np.concatenate, zip(*several, strict=True)))
        if several
        else Stays(*[np.zeros(0, np.int64)] * len(Stays._fields))
    )


def _by_silence(person: Array, first: Array, last: Array) -> Array:
    """Numbers from 1 on, the same for stays of one person that no silence parts. Stays overlap
    where somebody has several numbers.
    """
    order = np.lexsort((first, person))
    person, first, last = person[order], first[order], last[order]
    by_end = np.argsort(last)
    ranks = np.empty(len(order), np.int64)
    ranks[by_end] = np.arange(len(order))
    anew = np.ones(len(order), bool)
    anew[1:] = person[1:] != person[:-1]
    latest = (
        np.maximum.accumulate(np.cumsum(anew) << 32 | ranks) & 0xFFFFFFFF
    )  # of a person's stays so far the one that ends last
    anew[1:] |= first[1:] - last[by_end][latest[:-1]] > SILENCE_US
    found = np.empty(len(order), np.int64)
    found[order] = np.cumsum(anew)
    return found
