"""Progress: how far units get through the steps of a funnel, all units at once, in columns.

The same as `attempts.py`, which says what an attempt is, for rows as packed days have them. `marks` say of each row which steps it matches, the first by
the lowest bit. Found are the places of the rows of each unit's attempt: a column for each step, with NOT_TAKEN where the unit did not get to it.
"""

from collections.abc import Callable, Mapping

import numpy as np

from analytics.queries.sequences import Sequences
from analytics.stores.columns.day import Array, runs

NOT_TAKEN = -1

LONGEST = 1 << 61
"""Microseconds, to which an instant can be added."""

Tracker = Callable[[Sequences, Array, int, int], list[Array]]
"""Rows, their marks, how many steps and a window in microseconds → the places of each step."""


def ordered(rows: Sequences, marks: Array, steps: int, window: int) -> list[Array]:
    """Step after step, each the next row that matches it.

    All rows of the first step with the same next row of the second take the same steps from there on, and the latest of them gets furthest: so only it
    is followed. Where a unit got furthest, the attempt begins with the first of these that still reaches as far within the window.
    """
    here = np.arange(len(marks), dtype=np.int32)
    begins = np.flatnonzero(marks & 1)
    first = begins[runs(rows.unit[begins])]
    second = np.flatnonzero(marks & 2)
    latest = np.maximum.accumulate(np.where(marks & 1, here, NOT_TAKEN))[second - 1]
    latest[:1][second[:1] == 0] = NOT_TAKEN
    since = np.append(0, second[:-1])  # who begins before this has another second row
    led = (latest >= since) & (rows.unit[latest] == rows.unit[second])
    latest, second, since = latest[led], second[led], since[led]
    within = rows.at[second] - rows.at[latest] <= window
    latest, since, place = latest[within], since[within], second[within]
    places, alive = [latest, place], np.arange(len(place))
    depth = np.full(len(place), 2, np.int8)
    for step in range(2, steps):
        following = np.append(np.minimum.accumulate(np.where(marks & (1 << step), here, len(marks))[::-1])[::-1], len(marks))[place + 1]
        start = latest[alive]
        inside = following < len(marks)
        alive, following, start = alive[inside], following[inside], start[inside]
        taken = (rows.unit[following] == rows.unit[start]) & (rows.at[following] - rows.at[start] <= window)
        alive, place = alive[taken], following[taken]
        depth[alive] = step + 1
        places.append(np.full(len(latest), NOT_TAKEN))
        places[step][alive] = place
    unit = rows.unit[latest]
    firsts = runs(unit)
    best = np.maximum.reduceat(depth, firsts) if len(firsts) else depth
    furthest = np.flatnonzero(depth == np.repeat(best, np.diff(np.append(firsts, len(depth)))))
    chosen = furthest[runs(unit[furthest])]
    found = [np.full(len(first), NOT_TAKEN) for _ in range(steps)]
    found[0] = first.copy()
    units = np.searchsorted(first, latest[chosen], side="right") - 1
    for step in range(1, steps):
        found[step][units] = places[step][chosen]
    end = np.max([column[chosen] for column in places], axis=0) if len(chosen) else chosen
    found[0][units] = _from(rows, begins, np.maximum(since[chosen], first[units]), latest[chosen], rows.at[end] - window)
    return found


def _from(rows: Sequences, begins: Array, low: Array, high: Array, earliest: Array) -> Array:
    """Of the rows that begin an attempt, between two places each, the first that is not earlier; the one at the high end is not."""
    high = np.searchsorted(begins, high)
    low = np.searchsorted(begins, low)
    while (open_ := low < high).any():
        middle = (low + high) // 2
        early = open_ & (rows.at[begins[middle]] < earliest)
        low = np.where(early, middle + 1, low)
        high = np.where(open_ & ~early, middle, high)
    return begins[low]


def strict(rows: Sequences, marks: Array, steps: int, window: int) -> list[Array]:
    """The same, where each row is the very next after the one before."""
    begins = np.flatnonzero(marks & 1)
    unit, at = np.append(rows.unit, NOT_TAKEN), np.append(rows.at, 0)
    following = np.append(marks, 0)
    depth = np.ones(len(begins), np.int8)
    places = [begins, *(np.full(len(begins), NOT_TAKEN) for _ in range(1, steps))]
    alive = np.arange(len(begins))
    for step in range(1, steps):
        place = begins[alive] + step
        taken = (following[place] >> step & 1 > 0) & (unit[place] == unit[begins[alive]]) & (at[place] - at[begins[alive]] <= window)
        alive = alive[taken]
        places[step][alive] = place[taken]
        depth[alive] = step + 1
    firsts = runs(rows.unit[begins])
    best = np.maximum.reduceat(depth, firsts) if len(firsts) else depth
    furthest = np.flatnonzero(depth == np.repeat(best, np.diff(np.append(firsts, len(begins)))))
    chosen = furthest[runs(rows.unit[begins][furthest])]
    return [column[chosen] for column in places]


def unordered(rows: Sequences, marks: Array, steps: int, window: int) -> list[Array]:
    """As many places as the greatest depth (not where these are), where no row matches several steps.

    A window that has a row of each step ends at one of them: so at each row the last row of each step before it is all to look at.
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
