"""Finds how far all units get through the steps of a funnel at once, in columns of packed days.

The same attempts as in `attempts.py`. `marks` say of each row which steps it matches, as bits: the
first step is the lowest. A result has one column a step, with an entry for each unit that took the
first step: the place of its attempt's row, or NOT_TAKEN.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from analytics.derived.arrays import Array, distinct, runs
from analytics.queries.sequences.sequences import Sequences

NOT_TAKEN = -1

MAX_WINDOW_US = 1 << 61
"""The longest window: an instant plus this still fits 64 bits."""

Tracker = Callable[[Sequences, Array, int, int], list[Array]]
"""From rows, their marks, the number of steps and a window in microseconds to the places."""


def ordered(rows: Sequences, marks: Array, steps: int, window_us: int) -> list[Array]:
    """Step after step, each the next row that matches it. O(rows × steps), without loops over rows.

    Of all starts before the same step-2 row only the latest can get furthest: all reach the same
    rows, and its window ends last. So only the latest starts are followed, and each unit's first
    (a unit may have no step-2 row). The attempt reported is the earliest of those that get
    furthest: its start is moved back as far as the window of its last row allows.
    """
    starts = np.flatnonzero(marks & 1)
    firsts = starts[runs(rows.unit[starts])]
    # Latest starts, in rows that match step 1 or 2: each step-1 row directly before a step-2 row.
    either = np.flatnonzero(marks & 3)
    before_second = (marks[either][:-1] & 1 > 0) & (marks[either][1:] & 2 > 0)
    latest = either[:-1][before_second]
    here = np.arange(len(marks), dtype=np.int32)

    def following(step: int, before: Array) -> Array:
        # For every row the next one that matches the step: a running minimum from the end.
        matches = np.where(marks & (1 << step), here, len(marks)).astype(np.int32)
        next_match = np.append(np.minimum.accumulate(matches[::-1])[::-1], np.int32(len(marks)))
        places: Array = next_match[before + 1]
        return places

    followed = distinct(np.append(firsts, latest))
    places = _furthest(rows, _attempts(rows, followed, steps, window_us, following))
    last_rows = np.max(places, axis=0)
    places[0] = _first_since(rows, starts, firsts, places[0], rows.at[last_rows] - window_us)
    return places


def strict(rows: Sequences, marks: Array, steps: int, window_us: int) -> list[Array]:
    """Step after step, each the very next row. O(rows × steps)."""
    matches = np.append(marks, 0)

    def following(step: int, before: Array) -> Array:
        return np.where(matches[before + 1] & (1 << step), before + 1, len(marks))

    starts = np.flatnonzero(marks & 1)
    return _furthest(rows, _attempts(rows, starts, steps, window_us, following))


def _attempts(
    rows: Sequences,
    starts: Array,
    steps: int,
    window_us: int,
    following: Callable[[int, Array], Array],
) -> list[Array]:
    """The attempts that begin at some rows, each as far as it goes.

    `following` gives the next place of a step after some places; beyond the rows if there is none.
    """
    places, going = [starts], np.arange(len(starts))
    for step in range(1, steps):
        place = following(step, places[-1][going])
        exists = place < len(rows.at)
        place, going = place[exists], going[exists]
        start = starts[going]
        same_unit = rows.unit[place] == rows.unit[start]
        taken = same_unit & (rows.at[place] - rows.at[start] <= window_us)
        going = going[taken]
        places.append(np.full(len(starts), NOT_TAKEN))
        places[-1][going] = place[taken]
    return places


def _furthest(rows: Sequences, places: Sequence[Array]) -> list[Array]:
    """Of each unit's attempts the first of those that get furthest."""
    unit, depth = rows.unit[places[0]], np.zeros(len(places[0]), np.int8)
    for column in places:
        depth += column != NOT_TAKEN
    firsts = runs(unit)
    best = np.maximum.reduceat(depth, firsts) if len(firsts) else depth
    attempts = np.diff(np.append(firsts, len(unit)))
    furthest = np.flatnonzero(depth == np.repeat(best, attempts))
    chosen = furthest[runs(unit[furthest])]
    return [column[chosen] for column in places]


def _first_since(rows: Sequences, starts: Array, low: Array, high: Array, since: Array) -> Array:
    """For each unit the first start, from `low` to `high`, that is not before an instant.

    The start at `high` never is. A bisection of all units at once: O(units × log(starts)).
    """
    low, high = np.searchsorted(starts, low), np.searchsorted(starts, high)
    while (apart := low < high).any():
        middle = (low + high) // 2
        early = rows.at[starts[middle]] < since
        low, high = np.where(apart & early, middle + 1, low), np.where(apart & ~early, middle, high)
    places: Array = starts[low]
    return places


def unordered(rows: Sequences, marks: Array, steps: int, window_us: int) -> list[Array]:
    """As many places as the greatest depth; these are numbers only, not the rows.

    No row may match several steps. Then a window has the first d steps if it has a row of each. If
    one does, so does one that ends at such a row: so it is enough to look, at each row, at the last
    row of each step up to it. O(rows × steps).
    """
    here = np.arange(len(marks))
    firsts = runs(rows.unit)
    first = np.repeat(firsts, np.diff(np.append(firsts, len(marks))))
    depth, together = np.zeros(len(marks), np.int16), np.ones(len(marks), bool)
    for step in range(steps):
        # The last row of the step: a running maximum, which is too early if of a unit before.
        last = np.maximum.accumulate(np.where(marks & (1 << step), here, NOT_TAKEN))
        together &= (last >= first) & (rows.at - rows.at[last] <= window_us)
        depth += together
    best = np.maximum.reduceat(depth, firsts) if len(firsts) else depth
    best = best[best > 0]
    return [np.where(best > step, 0, NOT_TAKEN) for step in range(steps)]


TRACKERS: Mapping[str, Tracker] = {"ordered": ordered, "strict": strict, "any": unordered}
"""By `order`."""
