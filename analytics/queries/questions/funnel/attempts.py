"""Finds how far one unit gets through the steps of a funnel, in its rows in order.

Each row has a mark: a character whose bits say which steps the row matches. A unit's marks form a
text, so the next row that matches a step is found by a regular expression, at C speed, and most
rows are never looked at one by one.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

MAX_STEPS = 10

MARK = 1 << MAX_STEPS
"""The code point of a row's mark that matches no step. Step i sets bit i, from 0."""

Instants = Sequence[int]
Matcher = Callable[[str, Instants], Sequence[int]]
"""From a unit's marks and instants (microseconds), in order of rows, to its attempt.

An attempt is the places of its rows, one for each step that the unit gets to.
"""


def ordered(steps: int, window_us: int) -> Matcher:
    """The longest attempt: step after step within the window of the first. The earliest of several.

    O(rows × steps), however many starts a unit has: `following` only moves forward, so the searches
    for a step read the marks once in all.
    """
    search, *searches = _searches(steps)

    def match(marks: str, instants: Instants) -> Sequence[int]:
        end, best, first = len(marks), list[int](), -1
        following = [-1] * steps
        """For each step: its last row found, or `end`."""
        while start := search(marks, first + 1):
            place = first = start.start()
            attempt, until = [first], instants[first] + window_us
            for step, search_next in enumerate(searches, 1):
                if following[step] <= place:
                    row = search_next(marks, place + 1)
                    following[step] = row.start() if row else end
                # A row found for an earlier start is still the next one: starts only move forward,
                # and so does each step's row.
                place = following[step]
                if place == end or instants[place] > until:
                    break
                attempt.append(place)
            if len(attempt) > len(best):
                best = attempt
            if len(best) == steps or (place := following[len(best)]) == end:
                break
            # `place` is the earliest row that can take an attempt further than the best. A start
            # more than the window before it cannot reach it, nor any later row of that step.
            first = max(first, bisect_left(instants, instants[place] - window_us) - 1)
        return best

    return match


def strict(steps: int, window_us: int) -> Matcher:
    """The longest attempt whose rows directly follow each other; of several the earliest.

    O(rows × steps): each start is followed for at most `steps` rows.
    """
    search = _searches(steps)[0]

    def match(marks: str, instants: Instants) -> Sequence[int]:
        best, end, first = range(0), len(marks), -1
        while len(best) < steps and (start := search(marks, first + 1)):
            first = start.start()
            place, until, last = first + 1, instants[first] + window_us, min(end, first + steps)
            while place < last and instants[place] <= until:
                step = place - first
                if not ord(marks[place]) >> step & 1:
                    break
                place += 1
            if place - first > len(best):
                best = range(first, place)
        return best

    return match


def unordered(steps: int, window_us: int) -> Matcher:
    """As many places as the greatest depth; these are numbers only, not the rows.

    The depth is d if rows for the first d steps, one each, lie within one window in any order. A
    window slides over the rows and counts the rows of each mark. A matching of rows to steps is
    tried only where every step up to the next depth has a row. Without that it is O(rows × steps).
    """
    searches = _searches(steps)
    steps_of = {
        chr(MARK + bits): [step for step in range(steps) if bits >> step & 1]
        for bits in range(1 << steps)
    }

    def match(marks: str, instants: Instants) -> Sequence[int]:
        # No depth is beyond the first step that no row matches.
        most = next((step for step, search in enumerate(searches) if not search(marks)), steps)
        if most < 2:
            return range(most)
        if instants[-1] - instants[0] <= window_us:
            return range(_depth(Counter(marks), 1, most))
        depth, first = 1, 0
        inside, rows_of_step = Counter[str](), [0] * steps
        for mark, instant in zip(marks, instants, strict=True):
            inside[mark] += 1
            for step in steps_of[mark]:
                rows_of_step[step] += 1
            while instant - instants[first] > window_us:
                inside[marks[first]] -= 1
                for step in steps_of[marks[first]]:
                    rows_of_step[step] -= 1
                first += 1
            if 0 not in rows_of_step[: depth + 1]:
                depth = _depth(inside, depth, most)
                if depth == most:
                    break
        return range(depth)

    return match


MATCHERS: Mapping[str, Callable[[int, int], Matcher]] = {
    "ordered": ordered,
    "strict": strict,
    "any": unordered,
}
"""By `order`: makes a matcher for a number of steps and a window in microseconds."""


def _searches(steps: int) -> list[Callable[..., re.Match[str] | None]]:
    """For each step: a function that finds the next mark of a row that matches it."""
    marks = [
        "".join(chr(MARK + bits) for bits in range(1 << steps) if bits >> step & 1)
        for step in range(steps)
    ]
    return [re.compile(f"[{matching}]").search for matching in marks]


def _depth(marks: Mapping[str, int], depth: int, most: int) -> int:
    """How many steps, from `depth` up to `most`, can each have a row of their own.

    `marks` has the number of rows of each mark.
    """
    rows = {ord(mark): count for mark, count in marks.items()}
    while depth < most and _can_match(rows, depth + 1):
        depth += 1
    return depth


def _can_match(rows: Mapping[int, int], steps: int) -> bool:
    """Whether each of the first `steps` steps can have a row of its own.

    A bipartite matching by augmenting paths (Kuhn's algorithm), of steps to marks: a mark takes as
    many steps as it has rows. Without a free row, a step takes the place of another that finds a
    row elsewhere. O(steps² × marks), whatever the number of rows.
    """
    held: dict[int, list[int]] = {mark: [] for mark in rows}

    def place(step: int, tried: set[int]) -> bool:
        for mark in [mark for mark in held if mark >> step & 1 and mark not in tried]:
            tried.add(mark)
            if len(held[mark]) < rows[mark]:
                held[mark].append(step)
                return True
            for at, other in enumerate(held[mark]):
                if place(other, tried):
                    held[mark][at] = step
                    return True
        return False

    return all(place(step, set()) for step in range(steps))
