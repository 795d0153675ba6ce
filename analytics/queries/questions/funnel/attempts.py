"""Attempts: how far a unit gets through the steps of a funnel, found in its rows as PostgreSQL has
put them in order.

Of each row there is a mark, a character that says which steps it matches, and its instant. Marks
make a text, so that the next row that matches a step is found by a search in it, and most rows are
never looked at one by one.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

MAX_STEPS = 10

MARK = 1 << MAX_STEPS
"""The code point of the mark of a row that matches no step; each step that it does match sets a
bit, the first the lowest.
"""

Instants = Sequence[int]
Matcher = Callable[[str, Instants], Sequence[int]]
"""Marks of a unit's rows and their instants in microseconds, in order → the places of the rows of
its attempt; as many as its depth.
"""


def ordered(steps: int, window: int) -> Matcher:
    """The earliest attempt of the greatest depth: step after step, within `window` microseconds of
    the first.
    """
    search, *searches = _searches(steps)

    def match(marks: str, instants: Instants) -> Sequence[int]:
        end, best, first = len(marks), list[int](), -1
        following = (
            [-1] * steps
            # the next place of each step: it only moves on, so that all searches for a step read the
            # marks once
        )
        while found := search(marks, first + 1):
            place = first = found.start()
            attempt, until = [first], instants[first] + window
            for step, search_next in enumerate(searches, 1):
                if following[step] <= place:
                    found = search_next(marks, place + 1)
                    following[step] = found.start() if found else end
                place = following[step]
                if place == end or instants[place] > until:
                    break
                attempt.append(place)
            if len(attempt) > len(best):
                best = attempt
            if len(best) == steps or (place := following[len(best)]) == end:
                break
            # who begins too long before the next row of the step that is missing cannot take it,
            # nor any row of it after that
            first = max(first, bisect_left(instants, instants[place] - window) - 1)
        return best

    return match


def strict(steps: int, window: int) -> Matcher:
    """The same, where each row of an attempt is the very next after the one before."""
    search = _searches(steps)[0]

    def match(marks: str, instants: Instants) -> Sequence[int]:
        best, end, first = range(0), len(marks), -1
        while len(best) < steps and (found := search(marks, first + 1)):
            first = found.start()
            place, until, last = first + 1, instants[first] + window, min(end, first + steps)
            while (
                place < last
                and ord(marks[place]) >> (place - first) & 1
                and instants[place] <= until
            ):
                place += 1
            if place - first > len(best):
                best = range(first, place)
        return best

    return match


def unordered(steps: int, window: int) -> Matcher:
    """As many places as the greatest depth: rows for all steps up to it lie within `window`
    microseconds, in any order. (Not where these are.)
    """
    searches = _searches(steps)
    steps_of = {
        chr(MARK + bits): [step for step in range(steps) if bits >> step & 1]
        for bits in range(1 << steps)
    }

    def match(marks: str, instants: Instants) -> Sequence[int]:
        most = next((step for step, search in enumerate(searches) if not search(marks)), steps)
        if most < 2:
            return range(most)
        if instants[-1] - instants[0] <= window:
            return range(_depth(Counter(marks), 1, most))
        depth, first = 1, 0
        inside, of_step = Counter[str](), [0] * steps
        for mark, instant in zip(marks, instants, strict=True):
            inside[mark] += 1
            for step in steps_of[mark]:
                of_step[step] += 1
            while instant - instants[first] > window:
                inside[marks[first]] -= 1
                for step in steps_of[marks[first]]:
                    of_step[step] -= 1
                first += 1
            if 0 not in of_step[: depth + 1] and (depth := _depth(inside, depth, most)) == most:
                break
        return range(depth)

    return match


ORDERS: Mapping[str, Callable[[int, int], Matcher]] = {
    "ordered": ordered,
    "strict": strict,
    "any": unordered,
}


def _searches(steps: int) -> list[Callable[..., re.Match[str] | None]]:
    """For each step: finds a mark of a row that matches it."""
    marks = [
        "".join(chr(MARK + bits) for bits in range(1 << steps) if bits >> step & 1)
        for step in range(steps)
    ]
    return [re.compile(f"[{one}]").search for one in marks]


def _depth(marks: Mapping[str, int], depth: int, most: int) -> int:
    """How many of the steps, from `depth` up to `most`, can have a row of their own, of so many
    rows of each mark.
    """
    rows = {ord(mark): count for mark, count in marks.items()}
    while depth < most and _matched(rows, depth + 1):
        depth += 1
    return depth


def _matched(rows: Mapping[int, int], steps: int) -> bool:
    """Whether there is a row for each of the first `steps` steps: a bipartite matching, by
    augmenting paths.
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
