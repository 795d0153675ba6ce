"""Progress: how far units get through the steps of a funnel, all units at once, in columns.

The same as `attempts.py`, which says what an attempt is, for rows as packed days have them. `marks`
say of each row which steps it matches, the first by the lowest bit. Found are the places of the
rows of each unit's attempt: a column for each step, with NOT_TAKEN where the unit did not get to
it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from analytics.derived.arrays import Array, distinct, runs
from analytics.queries.sequences.sequences import Sequences

NOT_TAKEN = -1

LONGEST = 1 << 61
"""Microseconds, to which an instant can be added."""

Tracker = Callable[[Sequences, Array, int, int], list[Array]]
"""Rows, their marks, how many steps and a window in microseconds → the places of each step."""


def ordered(rows: Sequences, marks: Array, steps: int, window: int) -> list[Array]:
    """Step after step, each the next row that matches it.

    Whoever begins before the same row of the second step goes on as the others do, and the latest
    of them gets furthest: so only the latest are followed, and the first of each unit. Where a unit
    gets furthest, its attempt begins with the first row that is within the window of the last.
    """
    begins = np.flatnonzero(marks & 1)
    firsts = begins[runs(rows.unit[begins])]
    either = np.flatnonzero(marks & 3)
    latest = either[:-1][(marks[either][:-1] & 1 > 0) & (marks[either][1:] & 2 > 0)]
    here = np.arange(len(marks), dtype=np.int32)

    def following(step: int, before: Array) -> Array:
        matches = np.where(marks & (1 << step), here, len(marks)).astype(np.int32)
        found: Array = np.append(np.minimum.accumulate(matches[::-1])[::-1], np.int32(len(marks)))[
            before + 1
        ]
        return found

    places = _furthest(
        rows, _climbed(rows, distinct(np.append(firsts, latest)), steps, window, following)
    )
    places[0] = _earliest(rows, begins, firsts, places[0], rows.at[np.max(places, axis=0)] - window)
    return places


def strict(rows: Sequences, marks: Array, steps: int, window: int) -> list[Array]:
    """The same, where each row is the very next after the one before."""
    matches = np.append(marks, 0)

    def following(step: int, before: Array) -> Array:
        return np.where(matches[before + 1] & (1 << step), before + 1, len(marks))

    return _furthest(rows, _climbed(rows, np.flatnonzero(marks & 1), steps, window, following))


def _climbed(
    rows: Sequences,
    begins: Array,
    steps: int,
    window: int,
    following: Callable[[int, Array], Array],
) -> list[Array]:
    """From each of these rows as far as it goes; `following` a row there is a place for a step, or
    none in `rows`.
    """
    places, going = [begins], np.arange(len(begins))
    for step in range(1, steps):
        place = following(step, places[-1][going])
        inside = place < len(rows.at)
        place, going = place[inside], going[inside]
        begin = begins[going]
        taken = (rows.unit[place] == rows.unit[begin]) & (rows.at[place] - rows.at[begin] <= window)
        going = going[taken]
        places.append(np.full(len(begins), NOT_TAKEN))
        places[-1][going] = place[taken]
    return places


def _furthest(rows: Sequences, places: Sequence[Array]) -> list[Array]:
    """Of each unit the first that gets furthest."""
    unit, depth = rows.unit[places[0]], np.zeros(len(places[0]), np.int8)
    for column in places:
        depth += column != NOT_TAKEN
    firsts = runs(unit)
    best = np.maximum.reduceat(depth, firsts) if len(firsts) else depth
    furthest = np.flatnonzero(depth == np.repeat(best, np.diff(np.append(firsts, len(unit)))))
    chosen = furthest[runs(unit[furthest])]
    return [column[chosen] for column in places]


def _earliest(rows: Sequences, begins: Array, low: Array, high: Array, since: Array) -> Array:
    """Of the rows that begin attempts, between two of them each, the first that is not before an
    instant, as the one at the high end is not: by bisection.
    """
    low, high = np.searchsorted(begins, low), np.searchsorted(begins, high)
    while (apart := low < high).any():
        middle = (low + high) // 2
        early = rows.at[begins[middle]] < since
        low, high = np.where(apart & early, middle + 1, low), np.where(apart & ~early, middle, high)
    found: Array = begins[low]
    return found


def unordered(rows: Sequences, marks: Array, steps: int, window: int) -> list[Array]:
    """As many places as the greatest depth (not where these are), where no row matches several
    steps.

    A window that has a row of each step ends at one of them: so at each row the last row of each
    step before it is all to look at.
    """
    here = np.arange(len(marks))
    firsts = runs(rows.unit)
    first = np.repeat(firsts, np.diff(np.append(firsts, len(marks))))
    depth, together = np.zeros(len(marks), np.int16), np.ones(len(marks), bool)
    for step in range(steps):
        last = np.maximum.accumulate(np.where(marks & (1 << step), here, NOT_TAKEN))
        together &= (last >= first) & (rows.at - rows.at[last] <= window)
        depth += together
    best = np.maximum.reduceat(depth, firsts) if len(firsts) else depth
    best = best[best > 0]
    return [np.where(best > step, 0, NOT_TAKEN) for step in range(steps)]


TRACKERS: Mapping[str, Tracker] = {"ordered": ordered, "strict": strict, "any": unordered}
