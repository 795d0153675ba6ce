"""Sequences: the rows of each person, or of each session, in their order, from packed days, some
hundred thousand rows at a time.

found = by_person(columns, wanted, work)       # what `work` makes of each piece; `wanted[code]`:
whether rows of that name count rows.firsts                                    # in `work`: where
the rows of each unit begin

All rows of a unit are in one piece. Days have their rows in order of person and time. So what there
is to do for people is to put the days' stretches of the same ones after each other: a stable sort
by sixteen bits, which takes a time linear in the rows. Most sessions are one stretch of one day as
they are.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from analytics.derived.arrays import Array, positions_of_runs, runs
from analytics.queries.sequences.columns import Columns
from analytics.queries.sequences.visits import stays

T = TypeVar("T")

ROWS = 1_000_000
"""Of people in memory at a time, roughly, in each thread: who has more is not parted."""

BITS = 20
"""Of the largest number of a person by which rows are counted: exactly up to a million people,
roughly beyond.
"""

_NONE = np.zeros(0, np.int64)


class Sequences(NamedTuple):
    """Rows in the order of their units, and of time and id in each; all columns as long."""

    unit: Array
    """The same for all rows of a unit, and for no others."""
    at: Array
    """int64: microseconds since 1970."""
    code: Array
    """Which of the columns' names."""

    def where(self, kept: Array) -> "Sequences":
        """Some of the rows."""
        return self if kept.all() else Sequences(*(column[kept] for column in self))

    @property
    def firsts(self) -> Array:
        """Where the rows of each unit begin."""
        return runs(self.unit)


class _Rows(NamedTuple):
    """The rows of Sequences, and how many of the same instant are before each on its day; nothing
    where nobody needs that.
    """

    unit: Array
    at: Array
    code: Array
    turn: Array

    def taken(self, rows: Array) -> "_Rows":
        """Some of the rows, or all in another order."""
        return _Rows(*(column[rows] if len(column) else column for column in self))


def by_person(columns: Columns, wanted: Array, work: Callable[[Sequences], T]) -> list[T]:
    """The rows of each person."""
    people = _People(columns, wanted)

    def piece(edges: tuple[int, int]) -> T | None:
        rows = people.rows(*edges)
        return work(Sequences(*rows[:3])) if len(rows.at) else None

    return [found for found in columns.each(piece, people.edges()) if found is not None]


def by_session(columns: Columns, wanted: Array, work: Callable[[Sequences], T]) -> list[T]:
    """The rows of each session: day by day those of sessions of one stay, then those of sessions of
    several, in order together.
    """
    every = stays(columns, wanted)
    if not len(every.session):
        return []
    several = np.bincount(every.session)[every.session] > 1
    days = np.searchsorted(every.day, np.arange(len(columns.parts) + 1))

    def rows(at: int, chosen: Array) -> _Rows:
        mine = slice(days[at], days[at + 1])
        return _of_stays(columns, wanted, at, every.session[mine], every.rows[mine], chosen[mine])

    def piece(at: int) -> T | None:
        found = rows(at, ~several)
        return work(Sequences(*found[:3])) if len(found.at) else None

    def together(edges: tuple[int, int]) -> T | None:
        chosen = several & (every.session >= edges[0]) & (every.session < edges[1])
        found = _joined([rows(at, chosen) for at in range(len(columns.parts))])
        found = found.taken(np.lexsort((found.turn, found.at, found.unit)))
        return work(Sequences(*found[:3])) if len(found.at) else None

    edges = cuts(np.bincount(every.session, every.rows * several), ROWS)
    found = [*columns.each(piece, range(len(columns.parts))), *columns.each(together, edges)]
    return [each for each in found if each is not None]


def cuts(rows: Array, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of numbers, each up to where there are as many rows; of those between which there are
    none, none.
    """
    there = np.flatnonzero(rows)
    ends = np.cumsum(rows[there])
    at = 0
    while at < len(there):
        until = max(at + 1, int(np.searchsorted(ends, (ends[at - 1] if at else 0) + most)))
        yield int(there[at]), int(there[until - 1]) + 1
        at = until


def _of_stays(
    columns: Columns, wanted: Array, at: int, session: Array, rows: Array, chosen: Array
) -> _Rows:
    """The rows of some of a day's stays."""
    part = columns.parts[at]
    kept: slice | Array = part.kept(wanted)
    if not chosen.all():
        places = np.flatnonzero(np.repeat(chosen, rows))
        kept = places if isinstance(kept, slice) else kept[places]
    unit = np.repeat(session[chosen], rows[chosen])
    return _Rows(
        unit, part.day.times(kept), part.codes[part.day.codes[kept]], part.day.tie_ranks(kept)
    )


def _joined(several: list[_Rows]) -> _Rows:
    return (
        _Rows(*map(np.concatenate, zip(*several, strict=True)))
        if several
        else _Rows(_NONE, _NONE, _NONE, _NONE)
    )


class _People:
    """The people of all days, each by the number of who they are."""

    def __init__(self, columns: Columns, wanted: Array) -> None:
        self._parts = columns.parts
        self._codes = [wanted[part.codes] for part in columns.parts]
        self._who = [columns.links.persons(part.day.persons) for part in columns.parts]
        self._order = (
            [np.argsort(who, kind="stable") for who in self._who] if columns.links.version else []
        )
        self._sorted = (
            [who[order] for who, order in zip(self._who, self._order, strict=True)]
            if self._order
            else self._who
        )

    def edges(self) -> Iterator[tuple[int, int]]:
        """Ranges of numbers in which there are as many rows as shall be in memory."""
        most = max((int(who[-1]) + 1 for who in self._sorted if len(who)), default=0)
        coarse = max(0, most.bit_length() - BITS)
        rows = np.zeros((most >> coarse) + 1)
        for part, who in zip(self._parts, self._who, strict=True):
            found = np.bincount(who >> coarse, np.diff(part.day.offsets))
            rows[: len(found)] += found
        return ((first << coarse, last << coarse) for first, last in cuts(rows, ROWS))

    def rows(self, first: int, last: int) -> _Rows:
        """All rows of some people that are wanted, in order."""
        rows = _joined([self._of(at, first, last) for at in range(len(self._parts))])
        firsts = runs(rows.unit)
        lengths = np.diff(np.append(firsts, len(rows.unit)))
        narrow = (
            np.uint16 if last - first <= 1 << 16 else np.uint32
        )  # sixteen bits are sorted in linear time
        order = np.argsort((rows.unit[firsts] - first).astype(narrow), kind="stable")
        rows = rows.taken(positions_of_runs(firsts[order], lengths[order]))
        return self._in_order(rows) if self._order else rows

    def _of(self, at: int, first: int, last: int) -> _Rows:
        """The rows of a day of some people."""
        part, who = self._parts[at], self._sorted[at]
        day, offsets = part.day, part.day.offsets
        begin, end = np.searchsorted(who, np.array([first, last], who.dtype)).tolist()
        rows: slice | Array = slice(int(offsets[begin]), int(offsets[end]))
        lengths = np.diff(offsets[begin : end + 1])
        if self._order:
            people = self._order[at][begin:end]
            lengths = offsets[people + 1] - offsets[people]
            rows = positions_of_runs(offsets[people], lengths)
        unit, code = np.repeat(who[begin:end], lengths), day.codes[rows]
        kept = self._codes[at][code]
        if not kept.all():  # before anything is made of rows that do not count
            places = np.flatnonzero(kept)
            unit, code, rows = (
                unit[places],
                code[places],
                places + rows.start if isinstance(rows, slice) else rows[places],
            )
        found = _Rows(
            unit, day.times(rows), part.codes[code], day.tie_ranks(rows) if self._order else _NONE
        )
        return (
            found if part.whole else found.taken((found.at >= part.since) & (found.at < part.until))
        )

    def _in_order(self, rows: _Rows) -> _Rows:
        """The rows of people who have several numbers by time and id."""
        unit, at, _, turn = rows
        backwards = (at[1:] < at[:-1]) | ((at[1:] == at[:-1]) & (turn[1:] < turn[:-1]))
        backwards &= unit[1:] == unit[:-1]
        if not backwards.any():
            return rows
        astray = np.flatnonzero(np.isin(unit, unit[1:][backwards]))
        order = np.arange(len(at))
        order[astray] = astray[np.lexsort((turn[astray], at[astray], unit[astray]))]
        return rows.taken(order)
