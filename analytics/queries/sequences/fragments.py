"""Puts sessions together from fragments of their rows.

A fragment is the rows of one stretch that share bucket and group; rows that were filtered out do
not split it. A session is one fragment or several. A stretch is a run of one day's rows of one
person in one session. Packed days know where stretches begin and end, so rows are looked at only
where a stretch is not one fragment.

Sessions the sender named are recognized by their hash. Otherwise, a person's fragments are one
session until a gap of more than 30 minutes (`language/membership.py`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analytics.derived.arrays import Array, distinct, positions_of_runs, runs
from analytics.derived.instants import SILENCE_US
from analytics.queries.sequences.columns import ClippedDay, Columns

UNNAMED = 0
"""The number of the session of rows whose sender named none, until gaps decide."""


class Fragments(NamedTuple):
    """Columns of the same length, day by day. All are 32 bits wide but the instants.

    Without buckets and groups they are in the order of the rows that count.
    """

    day: Array
    """Index in `Columns.days`."""
    session: Array
    """A number from 1 on, the same on all days."""
    person: Array
    bucket: Array
    """Between which edges, from 1; 0 is before the first."""
    group: Array
    first_us: Array
    last_us: Array
    """int64: microseconds since 1970 of the first and the last row."""
    rows: Array
    """How many rows."""


def fragments(
    columns: Columns, included: Array, edges_us: Array | None = None, group_of: Array | None = None
) -> Fragments:
    """The fragments of all rows of included names.

    Buckets are between edges, in microseconds since 1970. `group_of` has the group of each code.
    """
    edges_us = np.zeros(0, np.int64) if edges_us is None else edges_us
    numbers, named = session_numbers([clipped.day.sessions[1:] for clipped in columns.days])

    def of_day(at: int) -> Fragments:
        clipped = columns.days[at]
        day = clipped.day
        stretch, cut = _DayFragments(clipped, included, edges_us, group_of).fragments()
        person = np.searchsorted(day.offsets, day.stretch_offsets[stretch], side="right") - 1
        return cut._replace(
            day=np.full(len(stretch), at, np.int32),
            session=numbers[at][day.stretches[stretch]],
            person=columns.links.persons(day.persons)[person],
        )

    every = _concatenated(columns.each(of_day, range(len(columns.days))))
    unnamed = np.flatnonzero(every.session == UNNAMED)
    every.session[unnamed] = named + _sessions_by_gap(
        every.person[unnamed], every.first_us[unnamed], every.last_us[unnamed]
    )
    return every


def session_numbers(hashes: Sequence[Array]) -> tuple[list[Array], int]:
    """Numbers for the named sessions of each day, and the last number used.

    `hashes` are each day's sessions, ascending and distinct. Each day's result has UNNAMED
    first, then their numbers. A session gets the same number on all days: those of several days
    come first, and all others are counted on day by day. That sorts all hashes once, but looks up
    only the few sessions that cross midnight.
    """
    ordered = np.sort(np.concatenate([*hashes, np.zeros(0, np.uint64)]))
    shared = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
    by_day, last = [], len(shared)
    for sessions in hashes:
        numbers = np.arange(last, last + len(sessions) + 1, dtype=np.int32)
        numbers[0] = UNNAMED
        if len(shared):
            places = np.minimum(np.searchsorted(shared, sessions), len(shared) - 1)
            numbers[1:] = np.where(shared[places] == sessions, places + 1, numbers[1:])
        by_day.append(numbers)
        last += len(sessions)
    return by_day, last


class _DayFragments:
    """The fragments of one day. The caller fills in day, session and person."""

    def __init__(
        self, clipped: ClippedDay, included: Array, edges_us: Array, group_of: Array | None
    ) -> None:
        self._clipped = clipped
        self._included = included
        self._edges_us = edges_us
        self._group_of = group_of

    def fragments(self) -> tuple[Array, Fragments]:
        """The stretch of each fragment, and the fragments.

        Where all rows count and there are no groups, each stretch within one bucket is a fragment
        as it is; only the rows of stretches across an edge are looked at.
        """
        day, stretches = self._clipped.day, np.arange(len(self._clipped.day.stretches))
        if self._group_of is not None or not self._clipped.includes_all(self._included):
            return self._from_rows(np.arange(day.rows), stretches)
        first_us = day.times(day.stretch_offsets[:-1])
        last_us = day.times(day.stretch_offsets[1:] - np.uint32(1))
        bucket, lengths = self._bucket(first_us), np.diff(day.stretch_offsets)
        group = np.zeros(len(stretches), np.int64)
        across = bucket != self._bucket(last_us)
        whole = _fragments(bucket, group, first_us, last_us, lengths)
        if not across.any():
            return stretches, whole
        rows = positions_of_runs(day.stretch_offsets[:-1][across], lengths[across])
        stretch, cut = self._from_rows(rows, stretches[across])
        whole = Fragments(*(column[~across] for column in whole))
        return np.append(stretches[~across], stretch), _concatenated([whole, cut])

    def _from_rows(self, rows: Array, stretches: Array) -> tuple[Array, Fragments]:
        """The fragments of some stretches. `rows` are all rows of these stretches, in order."""
        clipped, day = self._clipped, self._clipped.day
        stretch, at = np.repeat(stretches, np.diff(day.stretch_offsets)[stretches]), day.times(rows)
        mask = clipped.mask(self._included, rows, at)
        rows, stretch, at = rows[mask], stretch[mask], at[mask]
        bucket = self._bucket(at)
        group = np.zeros(len(rows), np.int64)
        if self._group_of is not None:
            group = self._group_of[clipped.codes[day.codes[rows]]]
        # Filtering out rows can open a gap of more than 30 minutes inside a stretch. It ends the
        # session, unless the sender named it.
        gap = (np.diff(at) > SILENCE_US) & (day.stretches[stretch[1:]] == UNNAMED)
        gaps_before = np.append(0, np.cumsum(gap))[: len(rows)]
        firsts = runs(stretch, bucket, group, gaps_before)
        lengths = np.diff(np.append(firsts, len(rows)))
        lasts = firsts + lengths - 1
        columns = (bucket[firsts], group[firsts], at[firsts], at[lasts], lengths)
        return stretch[firsts], _fragments(*columns)

    def _bucket(self, at: Array) -> Array:
        return np.searchsorted(self._edges_us, at, side="right")


def _fragments(
    bucket: Array, group: Array, first_us: Array, last_us: Array, rows: Array
) -> Fragments:
    unknown = np.zeros(len(bucket), np.int32)
    bucket, group, rows = (column.astype(np.int32) for column in (bucket, group, rows))
    return Fragments(unknown, unknown, unknown, bucket, group, first_us, last_us, rows)


def _concatenated(several: Sequence[Fragments]) -> Fragments:
    if not several:
        return Fragments(*[np.zeros(0, np.int64)] * len(Fragments._fields))
    return Fragments(*map(np.concatenate, zip(*several, strict=True)))


def _sessions_by_gap(person: Array, first_us: Array, last_us: Array) -> Array:
    """Session numbers from 1 on: the same for fragments of one person without a long gap between.

    One sort by person and start, and one by end: O(n log n), no loop over people. Fragments of a
    person overlap where the person has several actors, so a gap is counted from the latest end so
    far, not from the end of the fragment before.
    """
    order = np.lexsort((first_us, person))
    person, first_us, last_us = person[order], first_us[order], last_us[order]
    by_end = np.argsort(last_us)
    ranks = np.empty(len(order), np.int64)
    ranks[by_end] = np.arange(len(order))
    begins = np.ones(len(order), bool)
    begins[1:] = person[1:] != person[:-1]
    # A running maximum by person: the person's number in the high bits makes it start anew with
    # each person, the rank of the end in the low 32 bits finds the fragment that ends last.
    latest = np.maximum.accumulate(np.cumsum(begins) << 32 | ranks) & 0xFFFFFFFF
    begins[1:] |= first_us[1:] - last_us[by_end][latest[:-1]] > SILENCE_US
    sessions = np.empty(len(order), np.int64)
    sessions[order] = np.cumsum(begins)
    return sessions
