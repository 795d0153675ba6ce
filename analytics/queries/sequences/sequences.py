"""The rows of each person or session in order, from packed days, a chunk of units at a time.

    results = by_person(columns, included, work)  # what `work` returns for each chunk
    rows.firsts                                   # in `work`: where the rows of each unit begin

`included[code]` says whether rows of a name count. All rows of a unit are in one chunk.

Days have their rows in order of person and time. For people it is therefore enough to put the
days' runs of rows of the same person after each other: a stable sort of runs by sixteen bits,
which takes linear time. Most sessions are one fragment of one day and need no sorting at all.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from analytics.derived.arrays import Array, positions_of_runs, runs
from analytics.queries.sequences.columns import Columns
from analytics.queries.sequences.fragments import fragments

Result = TypeVar("Result")

CHUNK_ROWS = 1_000_000
"""Rows in memory at a time in each thread, roughly. A unit with more is not divided."""

HISTOGRAM_BITS = 20
"""Chunks are chosen by counting rows for each person; beyond a million people, for each few."""

_NONE = np.zeros(0, np.int64)


class Sequences(NamedTuple):
    """Rows in order of unit, then time and id. All columns have the same length."""

    unit: Array
    """The same for all rows of a person or session, and for no others."""
    at: Array
    """int64: microseconds since 1970."""
    code: Array
    """Index in `Columns.names`."""

    def where(self, mask: Array) -> "Sequences":
        """Some of the rows."""
        return self if mask.all() else Sequences(*(column[mask] for column in self))

    @property
    def firsts(self) -> Array:
        """Where the rows of each unit begin."""
        return runs(self.unit)


class _Rows(NamedTuple):
    """The columns of Sequences, and `turn`: how many rows of its day and instant are before a row.

    `turn` orders rows of one instant by id. It is empty where the rows are in order anyway.
    """

    unit: Array
    at: Array
    code: Array
    turn: Array

    def take(self, rows: Array) -> "_Rows":
        """Some of the rows, or all in another order."""
        return _Rows(*(column[rows] if len(column) else column for column in self))

    @property
    def sequences(self) -> Sequences:
        return Sequences(self.unit, self.at, self.code)


def by_person(
    columns: Columns, included: Array, work: Callable[[Sequences], Result]
) -> list[Result]:
    """What `work` returns for each chunk of persons."""
    people = _PeopleRows(columns, included)

    def chunk(persons: tuple[int, int]) -> Result | None:
        rows = people.rows(*persons)
        return work(rows.sequences) if len(rows.at) else None

    results = columns.each(chunk, people.ranges())
    return [result for result in results if result is not None]


def by_session(
    columns: Columns, included: Array, work: Callable[[Sequences], Result]
) -> list[Result]:
    """What `work` returns for each chunk of sessions.

    A chunk has the sessions of one fragment of one day, or some sessions of several fragments.
    Only the latter need to be gathered from all days and sorted.
    """
    every = fragments(columns, included)
    if not len(every.session):
        return []
    several = np.bincount(every.session)[every.session] > 1
    # Fragments are in order of their days: from where to where those of each day are.
    edges = np.searchsorted(every.day, np.arange(len(columns.days) + 1))

    def rows(at: int, chosen: Array) -> _Rows:
        here = slice(edges[at], edges[at + 1])
        of_day = every.session[here], every.rows[here], chosen[here]
        return _rows_of_fragments(columns, included, at, *of_day)

    def single(at: int) -> Result | None:
        chosen = rows(at, ~several)
        return work(chosen.sequences) if len(chosen.at) else None

    def gathered(sessions: tuple[int, int]) -> Result | None:
        first, last = sessions
        chosen = several & (every.session >= first) & (every.session < last)
        days = _concatenated([rows(at, chosen) for at in range(len(columns.days))])
        ordered = days.take(np.lexsort((days.turn, days.at, days.unit)))
        return work(ordered.sequences) if len(ordered.at) else None

    chunks = ranges(np.bincount(every.session, every.rows * several), CHUNK_ROWS)
    results = [*columns.each(single, range(len(columns.days))), *columns.each(gathered, chunks)]
    return [result for result in results if result is not None]


def ranges(rows: Array, max_rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of numbers, each with up to `max_rows` rows (or one number), where there are any.

    `rows` has the rows of each number.
    """
    numbers = np.flatnonzero(rows)
    ends = np.cumsum(rows[numbers])
    at = 0
    while at < len(numbers):
        before = ends[at - 1] if at else 0
        until = max(at + 1, int(np.searchsorted(ends, before + max_rows)))
        yield int(numbers[at]), int(numbers[until - 1]) + 1
        at = until


def _rows_of_fragments(
    columns: Columns, included: Array, at: int, session: Array, rows: Array, chosen: Array
) -> _Rows:
    """The rows of the chosen ones of a day's fragments."""
    clipped = columns.days[at]
    day = clipped.day
    places: slice | Array = clipped.rows(included)
    if not chosen.all():
        # Fragments are in the order of the rows that count, so repeating each by its number of
        # rows gives the fragment of every row.
        of_chosen = np.flatnonzero(np.repeat(chosen, rows))
        places = of_chosen if isinstance(places, slice) else places[of_chosen]
    unit = np.repeat(session[chosen], rows[chosen])
    code = clipped.codes[day.codes[places]]
    return _Rows(unit, day.times(places), code, day.tie_ranks(places))


def _concatenated(several: list[_Rows]) -> _Rows:
    if not several:
        return _Rows(_NONE, _NONE, _NONE, _NONE)
    return _Rows(*map(np.concatenate, zip(*several, strict=True)))


class _PeopleRows:
    """The rows of all days by person. A person is known by one of their actors' numbers."""

    def __init__(self, columns: Columns, included: Array) -> None:
        self._days = columns.days
        self._included = [included[clipped.codes] for clipped in columns.days]
        self._persons = [columns.links.persons(clipped.day.persons) for clipped in columns.days]
        self._linked = bool(columns.links.version)
        # A day's actors are in order of their numbers; linked ones have another person's number.
        self._order = [np.argsort(p, kind="stable") for p in self._persons] if self._linked else []
        self._sorted = self._persons
        if self._linked:
            pairs = zip(self._persons, self._order, strict=True)
            self._sorted = [persons[order] for persons, order in pairs]

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Ranges of persons with CHUNK_ROWS rows each."""
        top = max((int(persons[-1]) + 1 for persons in self._sorted if len(persons)), default=0)
        # Count by the upper bits only, so that the histogram has at most 2 ** HISTOGRAM_BITS
        # entries, however many people a project has.
        coarse = max(0, top.bit_length() - HISTOGRAM_BITS)
        rows = np.zeros((top >> coarse) + 1)
        for clipped, persons in zip(self._days, self._persons, strict=True):
            counts = np.bincount(persons >> coarse, np.diff(clipped.day.offsets))
            rows[: len(counts)] += counts
        return ((first << coarse, last << coarse) for first, last in ranges(rows, CHUNK_ROWS))

    def rows(self, first: int, last: int) -> _Rows:
        """All included rows of a range of persons, in order."""
        rows = _concatenated([self._rows_of_day(at, first, last) for at in range(len(self._days))])
        firsts = runs(rows.unit)
        lengths = np.diff(np.append(firsts, len(rows.unit)))
        # Rows are day after day, in runs of one person. A stable sort of the runs puts a
        # person's days after each other; numpy sorts sixteen bits by radix, in linear time.
        narrow = np.uint16 if last - first <= 1 << 16 else np.uint32
        order = np.argsort((rows.unit[firsts] - first).astype(narrow), kind="stable")
        rows = rows.take(positions_of_runs(firsts[order], lengths[order]))
        return self._in_order(rows) if self._linked else rows

    def _rows_of_day(self, at: int, first: int, last: int) -> _Rows:
        """The included rows of a range of persons on one day, person by person."""
        clipped, persons = self._days[at], self._sorted[at]
        day, offsets = clipped.day, clipped.day.offsets
        begin, end = np.searchsorted(persons, np.array([first, last], persons.dtype)).tolist()
        rows: slice | Array = slice(int(offsets[begin]), int(offsets[end]))
        lengths = np.diff(offsets[begin : end + 1])
        if self._linked:
            actors = self._order[at][begin:end]
            lengths = offsets[actors + 1] - offsets[actors]
            rows = positions_of_runs(offsets[actors], lengths)
        unit, code = np.repeat(persons[begin:end], lengths), day.codes[rows]
        mask = self._included[at][code]
        if not mask.all():  # before instants are computed for rows that do not count
            places = np.flatnonzero(mask)
            unit, code = unit[places], code[places]
            rows = places + rows.start if isinstance(rows, slice) else rows[places]
        turn = day.tie_ranks(rows) if self._linked else _NONE
        included = _Rows(unit, day.times(rows), clipped.codes[code], turn)
        if clipped.whole:
            return included
        in_range = (included.at >= clipped.since_us) & (included.at < clipped.until_us)
        return included.take(in_range)

    def _in_order(self, rows: _Rows) -> _Rows:
        """The rows, with those of persons of several actors sorted by time and id.

        Only persons with a row before its predecessor are sorted again: few people are linked, and
        fewer act as several actors on one day.
        """
        unit, at, _, turn = rows
        backwards = (at[1:] < at[:-1]) | ((at[1:] == at[:-1]) & (turn[1:] < turn[:-1]))
        backwards &= unit[1:] == unit[:-1]
        if not backwards.any():
            return rows
        unsorted = np.flatnonzero(np.isin(unit, unit[1:][backwards]))
        order = np.arange(len(at))
        order[unsorted] = unsorted[np.lexsort((turn[unsorted], at[unsorted], unit[unsorted]))]
        return rows.take(order)
