"""Sequences: the rows of each person, or of each session, in their order, from packed days, some hundred thousand rows at a time.

    found = by_person(columns, wanted, work)       # what `work` makes of each piece; `wanted[code]`: whether rows of that name count
    rows.firsts                                    # in `work`: where the rows of each unit begin

All rows of a unit are in one piece. Days have their rows in order of person and time. So what there is to do for people is to put the days' stretches of the
same ones after each other: a stable sort by sixteen bits, which takes a time linear in the rows. Most sessions are one stretch of one day as they are.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from analytics.queries.columns import Columns
from analytics.queries.visits import Stays, stays
from analytics.stores.columns.day import Array, runs, stretched

T = TypeVar("T")

ROWS = 250_000
"""Of people in memory at a time, roughly, in each thread: who has more is not parted."""

PERSONS = 1 << 16

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
    """The rows of Sequences, and how many of the same instant are before each on its day; nothing where nobody needs that."""

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

    return [found for found in columns.each(piece, pairwise(people.edges())) if found is not None]


def by_session(columns: Columns, wanted: Array, work: Callable[[Sequences], T]) -> list[T]:
    """The rows of each session: those of one stay as they are, those of several in order together."""
    every = stays(columns, wanted)
    alone = np.bincount(every.session)[every.session] == 1 if len(every.session) else every.session
    ends = np.searchsorted(every.day, np.arange(len(columns.parts) + 1))

    def piece(at: int) -> tuple[T | None, _Rows]:
        mine = slice(ends[at], ends[at + 1])
        return _of_day(columns, wanted, at, Stays(*(column[mine] for column in every)), alone[mine], work)

    found = columns.each(piece, range(len(columns.parts)))
    rest = _joined([rows for _, rows in found])
    rest = rest.taken(np.lexsort((rest.turn, rest.at, rest.unit)))
    return [*(each for each, _ in found if each is not None), *([work(Sequences(*rest[:3]))] if len(rest.at) else [])]


def _of_day(columns: Columns, wanted: Array, at: int, mine: Stays, alone: Array, work: Callable[[Sequences], T]) -> tuple[T | None, _Rows]:
    """What is made of a day's sessions that are one stay each, and the rows of the others."""
    part = columns.parts[at]
    rows = part.kept(wanted)
    unit = np.repeat(mine.session, mine.rows)
    single = np.repeat(alone, mine.rows)
    when, code = part.day.times(rows), part.codes[part.day.codes[rows]]
    done = Sequences(unit, when, code).where(single)
    if single.all():
        return (work(done) if len(done.at) else None), _Rows(_NONE, _NONE, _NONE, _NONE)
    several = ~single
    rest = _Rows(unit[several], when[several], code[several], part.day.turns_of(rows)[several])
    return (work(done) if len(done.at) else None), rest


def _joined(several: list[_Rows]) -> _Rows:
    return _Rows(*map(np.concatenate, zip(*several, strict=True))) if several else _Rows(_NONE, _NONE, _NONE, _NONE)


class _People:
    """The people of all days, each by the number of who they are."""

    def __init__(self, columns: Columns, wanted: Array) -> None:
        self._parts = columns.parts
        self._wanted = wanted
        self._who = [columns.links.persons(part.day.persons) for part in columns.parts]
        self._order = [np.argsort(who, kind="stable") for who in self._who] if columns.links.version else []
        self._sorted = [who[order] for who, order in zip(self._who, self._order, strict=True)] if self._order else self._who

    def edges(self) -> list[int]:
        """Numbers between which there are as many rows as shall be in memory."""
        most = max((int(who[-1]) + 1 for who in self._sorted if len(who)), default=0)
        rows = np.zeros(most, np.int64)
        for part, who in zip(self._parts, self._who, strict=True):
            if self._order:  # then somebody may be there twice
                np.add.at(rows, who, np.diff(part.day.offsets))
            else:
                rows[who] += np.diff(part.day.offsets)
        ends = np.cumsum(rows)
        edges = [0]
        while edges[-1] < most:
            before = ends[edges[-1] - 1] if edges[-1] else 0
            until = int(np.searchsorted(ends, before + ROWS))
            edges.append(min(max(until, edges[-1] + 1), most, edges[-1] + PERSONS))
        return edges

    def rows(self, first: int, last: int) -> _Rows:
        """All rows of some people that are wanted, in order."""
        rows = _joined([self._of(at, first, last) for at in range(len(self._parts))])
        rows = rows.taken(np.argsort((rows.unit - first).astype(np.uint16), kind="stable"))
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
            rows = stretched(offsets[people], lengths)
        found = _Rows(np.repeat(who[begin:end], lengths), day.times(rows), part.codes[day.codes[rows]], day.turns_of(rows) if self._order else _NONE)
        kept = part.counts(self._wanted, rows, found.at)
        return found if kept.all() else found.taken(kept)

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
